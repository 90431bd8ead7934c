#pragma once

#include <memory>

#include "engine/lake_scan.h"

namespace tarn::engine {

inline constexpr const char* kScanFunctionName = "tarn_scan";

/// DuckDB's own Parquet scan, made to read LakeScans. One per session; what is bound to it names it. Threads:
/// any.
class ScanFunction {
 public:
  /// Takes parquet_scan out of the system catalog and registers the scan there under its own name, where
  /// plans that are copied by serialisation find it. Calling it in SQL is refused.
  static std::shared_ptr<ScanFunction> Register(duckdb::Connection& connection,
                                                std::shared_ptr<ScanRegistry> registry);

  duckdb::TableFunction Bind(duckdb::ClientContext& context, std::shared_ptr<LakeScan> scan,
                             duckdb::unique_ptr<duckdb::FunctionData>* bind_data) const;

 private:
  ScanFunction(duckdb::TableFunction parquet_scan, std::shared_ptr<ScanRegistry> registry);
  static duckdb::unique_ptr<duckdb::FunctionData> Deserialize(duckdb::Deserializer& deserializer,
                                                              duckdb::TableFunction& function);
  duckdb::TableFunction FunctionFor(std::shared_ptr<LakeScan> scan) const;

  duckdb::TableFunction parquet_scan_;
  std::shared_ptr<ScanRegistry> registry_;
};

}  // namespace tarn::engine
