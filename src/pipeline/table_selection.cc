#include "pipeline/table_selection.h"

#include "base/log.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {

Result<std::vector<std::string>> Runner::ChangeSelection(const std::vector<std::string>& include,
                                                         const std::vector<std::string>& exclude) {
  const cdc::TablePatterns now = selection_.patterns();
  cdc::TablePatterns wanted = now;
  wanted.include = include;
  wanted.exclude = exclude;
  const auto followed = Followed();
  for (const auto& [name, table] : followed) {
    const std::string source = table.schema.QualifiedName();
    if (cdc::IsSelected(wanted, source) || !cdc::IsSelected(now, source)) continue;
    return MakeError(ErrorCode::kInvalidArgument,
                     "[tables] selects '{}' no more, which is followed: to leave it out, stop `tarn run` and "
                     "start it again",
                     source);
  }
  TARN_ASSIGN(auto connection,
              cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kOrdinary, "set-up"));
  TARN_ASSIGN(const auto tables, cdc::LoadTables(*connection, wanted, cdc::Sizes::kNoted));
  std::vector<std::string> added;
  for (const cdc::SourceTable& table : tables) {
    if (FindFollowed(followed, table) == nullptr) added.push_back(table.schema.QualifiedName());
  }
  selection_.Set(include, exclude);
  for (const std::string& name : added) spdlog::info("{} is followed from now on", name);
  return added;
}

}  // namespace tarn::pipeline
