// Writes random tables for other readers to judge: hudi_conformance <folder>. Each line of standard input is
// a case as JSON (see ConformanceCase); the tables' histories go to standard output, see ConformanceHistory.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "hudi/conformance_history.h"

namespace {

using tarn::Status;
using namespace tarn::hudi;  // NOLINT: one file, one purpose

ConformanceCase CaseOf(const nlohmann::json& json) {
  ConformanceCase made;
  made.name = json.at("name");
  made.type = json.at("type") == "cow" ? TableType::kCopyOnWrite : TableType::kMergeOnRead;
  json.at("keys").get_to(made.keys);
  json.at("identities").get_to(made.identities);
  json.at("partitions").get_to(made.partitions);
  json.at("changes").get_to(made.changes);
  json.at("steps").get_to(made.steps);
  json.at("last").get_to(made.last);
  json.at("seed").get_to(made.seed);
  json.at("commits").get_to(made.commits);
  json.at("numbers").get_to(made.numbers);
  json.at("target_file_bytes").get_to(made.target_file_bytes);
  json.at("ancient").get_to(made.ancient);
  return made;
}

Status Write(const std::string& folder, const ConformanceCase& made) {
  TARN_ASSIGN(const auto history, ConformanceHistory::Make(folder, made));
  return history->Run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: hudi_conformance <folder> < cases\n");
    return 2;
  }
  tarn::InitLogging("error", "");
  int code = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const auto json = nlohmann::json::parse(line);
    const Status status = Write(argv[1], CaseOf(json));
    if (status) continue;
    std::fprintf(stderr, "hudi_conformance: %s: %s\n", json.at("name").get<std::string>().c_str(),
                 status.error().message.c_str());
    code = 1;
  }
  return code;
}
