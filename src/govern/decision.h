#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace tarn::govern {

/// Who asks. Shape: `shared_tables` are "schema.table" names granted as a whole.
struct Principal {
  std::string name;
  bool is_operator = false;  ///< Reads everything, quarantine and Bronze included.
  std::string tenant;        ///< Partition value, unescaped; empty when the principal has none.
  std::vector<std::string> shared_tables;
  std::string tenant_column = "tenant_id";
};

enum class Access {
  kAll,               ///< Every row.
  kTenantPartitions,  ///< The partitions whose first field is the tenant; nothing else of the table.
  kDenied,            ///< The table does not exist for this principal.
};

/// What one principal may read: immutable, and the only way into the engine. Threads: any.
class Decision {
 public:
  const std::string& principal() const { return principal_; }
  bool is_operator() const { return is_operator_; }
  /// The partition value that kTenantPartitions stands for.
  const std::string& tenant() const { return tenant_; }

  /// What the name alone tells. A table that no partitioning could open is kDenied here, before anything of
  /// it is looked up; kTenantPartitions means that ForTable has to see the partition fields.
  Access ForName(std::string_view schema, std::string_view table) const;
  /// `partition_fields` as in hudi::ScanPlan.
  Access ForTable(std::string_view schema, std::string_view table,
                  const std::vector<std::string>& partition_fields) const;

 private:
  friend Decision Decide(const Principal& principal);
  Decision() = default;

  std::string principal_;
  bool is_operator_ = false;
  std::string tenant_;
  std::string tenant_column_;
  std::unordered_set<std::string> shared_tables_;
};

/// Pure: the same principal always gets the same decision.
Decision Decide(const Principal& principal);

/// The decision of tarn's own jobs (models, verification): they read everything.
Decision DecideForSystem(std::string job);

}  // namespace tarn::govern
