#pragma once

#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "app/config.h"

namespace tarn::app {

/// Reads one table of the file; whatever is not read by name is an error at the end.
class Section {
 public:
  Section(const toml::table* table, std::string name, std::string file)
      : table_(table), name_(std::move(name)), file_(std::move(file)) {}

  template <typename T>
  Status Read(const std::string& key, T& to) {
    known_.push_back(key);
    const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
    if (node == nullptr) return {};
    const auto value = node->value_exact<T>();
    if (!value) return Wrong(*node, fmt::format("'{}' must be {}", key, TypeName(T{})));
    to = *value;
    return {};
  }
  Status Read(const std::string& key, std::vector<std::string>& to) {
    known_.push_back(key);
    const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
    if (node == nullptr) return {};
    const toml::array* array = node->as_array();
    if (array == nullptr) return Wrong(*node, fmt::format("'{}' must be a list of texts", key));
    to.clear();
    for (const toml::node& entry : *array) {
      const auto value = entry.value_exact<std::string>();
      if (!value) return Wrong(entry, fmt::format("'{}' must be a list of texts", key));
      to.push_back(*value);
    }
    return {};
  }

  Status Read(const std::string& key, std::map<std::string, std::string>& to) {
    known_.push_back(key);
    const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
    if (node == nullptr) return {};
    const toml::table* table = node->as_table();
    if (table == nullptr)
      return Wrong(*node, fmt::format("'{}' must be written as {{ from = \"to\" }}", key));
    for (const auto& [from, entry] : *table) {
      const auto value = entry.value_exact<std::string>();
      if (!value) return Wrong(entry, fmt::format("'{}' of '{}' must be a text in quotes", from.str(), key));
      to[std::string(from.str())] = *value;
    }
    return {};
  }

  /// kInvalidArgument for a key that nobody read.
  Status CheckKnown() const {
    if (table_ == nullptr) return {};
    for (const auto& [key, node] : *table_) {
      const std::string name(key.str());
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      const std::string nearest = Nearest(name, known_);
      return Wrong(node, fmt::format("'{}' is not known in {}{}", name, name_,
                                     nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
    }
    return {};
  }

  Error Wrong(const toml::node& node, const std::string& what) const {
    return MakeError(ErrorCode::kInvalidArgument, "{}:{}: {}", file_, node.source().begin.line, what);
  }
  /// The same of the section as a whole.
  Error Wrong(const std::string& what) const { return Wrong(*table_, name_ + " " + what); }
  bool present() const { return table_ != nullptr; }
  bool Has(const std::string& key) const { return table_ != nullptr && table_->contains(key); }
  /// A key that is there.
  const toml::node& at(const std::string& key) const { return *table_->get(key); }

 private:
  static const char* TypeName(const std::string&) { return "a text in quotes"; }
  static const char* TypeName(int64_t) { return "a whole number"; }
  static const char* TypeName(bool) { return "true or false"; }

  const toml::table* table_;
  std::string name_, file_;
  std::vector<std::string> known_;
};

/// The entries of `[[name]]`; null when there are none. Errors: kInvalidArgument when it is written
/// otherwise: passed over, it would leave out what the operator meant.
Result<const toml::array*> EntriesOf(const toml::table& root, const std::string& name,
                                     const std::string& file);

/// [s3] of the file, and where [bronze] is. Relative paths are of `folder`.
Status ReadObjectStore(const Section& bronze, Section s3, const std::string& folder,
                       pipeline::PipelineOptions& options);

/// [[mapping]] of the file. The secret comes from TARN_HASH_SECRET or the file's first line.
Status ReadMappings(const toml::table& root, const std::string& file, const std::string& secret_file,
                    pipeline::PipelineOptions& options);

}  // namespace tarn::app
