#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "app/commands.h"
#include "base/clock.h"
#include "catalog/external_crawl.h"
#include "catalog/external_table.h"

namespace tarn::app {
namespace {

using catalog::CrawlFinding;
using What = CrawlFinding::What;

const char* Text(What what) {
  switch (what) {
    case What::kNew:
      return "new";
    case What::kChanged:
      return "changed";
    case What::kSame:
      return "same";
    case What::kGone:
      return "gone";
    case What::kRefused:
      return "refused";
  }
  return "";
}

nlohmann::json ToJson(const CrawlFinding& finding) {
  return {{"what", Text(finding.what)},
          {"table", "external." + finding.name},
          {"path", finding.path},
          {"reason", finding.reason},
          {"files_added", finding.files_added},
          {"files_changed", finding.files_changed},
          {"files_removed", finding.files_removed},
          {"columns_added", finding.columns_added}};
}

std::string Details(const CrawlFinding& finding) {
  if (finding.what == What::kRefused) return finding.reason;
  std::string text;
  const auto add = [&](int64_t count, const char* what) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  };
  add(finding.files_added, "files added");
  add(finding.files_changed, "files changed");
  add(finding.files_removed, "files gone");
  if (!finding.columns_added.empty())
    text += fmt::format("{}new columns {}", text.empty() ? "" : ", ", fmt::join(finding.columns_added, ", "));
  return text.empty() ? finding.path : text + "; " + finding.path;
}

/// The folders that are named, or those that earlier crawls were given. Errors: kInvalidArgument.
Result<std::set<std::string>> Roots(const std::vector<std::string>& paths,
                                    const catalog::ExternalTables& known, const std::string& lake) {
  std::set<std::string> roots;
  for (const auto& [name, table] : known.tables) {
    if (paths.empty()) roots.insert(table.root);
  }
  for (const std::string& path : paths) {
    std::error_code error;
    const std::string root = std::filesystem::weakly_canonical(path, error);
    const std::string inside = std::filesystem::weakly_canonical(lake, error);
    const bool is_ours = (root + "/").starts_with(inside + "/") || (inside + "/").starts_with(root + "/");
    if (is_ours) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "'{}' is in the lake, or has it inside: crawl what others write", path);
    }
    roots.insert(root);
  }
  return roots;
}

Result<std::vector<CrawlFinding>> CrawlAll(const storage::Storage& storage,
                                           const std::set<std::string>& roots,
                                           catalog::ExternalTables* known) {
  std::vector<CrawlFinding> all;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  catalog::CrawlOptions options;
  if (terminal) options.report = [](int64_t files) { fmt::print(stderr, "\rlooked at {} files", files); };
  for (const std::string& root : roots) {
    auto found = catalog::CrawlFolder(storage, root, options, Clock::System().NowMicros(), known);
    if (terminal) fmt::print(stderr, "\r{:<40}\r", "");
    if (!found) return std::move(found).error();
    for (CrawlFinding& finding : *found) all.push_back(std::move(finding));
  }
  return all;
}

int Forget(storage::Storage& storage, const catalog::LakeLayout& layout, catalog::ExternalTables& known,
           std::string name) {
  if (name.starts_with("external.")) name = name.substr(9);
  if (known.tables.erase(name) == 0)
    return Fail(MakeError(ErrorCode::kNotFound, "there is no external table '{}'", name));
  const Status written = known.Write(storage, layout);
  if (!written) return Fail(written.error());
  fmt::print("external.{} is forgotten; its files stay as they are\n", name);
  return kSuccess;
}

}  // namespace

int RunCrawl(const Config& config, const std::vector<std::string>& paths, const std::string& forget,
             bool json) {
  const catalog::LakeLayout layout(config.pipeline.lake);
  // Another one than that of a running tarn.
  const auto storage = storage::OpenLocalStorage(layout.Internal("crawl"));
  if (!storage) return Fail(storage.error());
  const auto identity = catalog::ReadIdentity(**storage, layout);
  if (!identity) return Fail(identity.error());
  auto known = catalog::ExternalTables::Read(**storage, layout);
  if (!known) return Fail(known.error());
  if (!forget.empty()) return Forget(**storage, layout, *known, forget);
  const auto roots = Roots(paths, *known, config.pipeline.lake);
  if (!roots) return Fail(roots.error());
  const auto findings = CrawlAll(**storage, *roots, &*known);
  if (!findings) return Fail(findings.error());
  const Status written = known->Write(**storage, layout);
  if (!written) return Fail(written.error());
  bool any_refused = false;
  nlohmann::json list = nlohmann::json::array();
  for (const CrawlFinding& finding : *findings) {
    any_refused |= finding.what == What::kRefused;
    list.push_back(ToJson(finding));
    if (!json) fmt::print("{:<8} external.{:<24} {}\n", Text(finding.what), finding.name, Details(finding));
  }
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"ok", !any_refused}, {"tables", list}}.dump(1));
  } else if (findings->empty()) {
    fmt::print("{}\n", roots->empty() ? "nothing was crawled yet: name a folder"
                                      : "there are no tables: no Parquet files and no Hudi timelines");
  }
  return any_refused ? kDifference : kSuccess;
}

}  // namespace tarn::app
