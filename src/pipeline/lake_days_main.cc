// Eight days of a small lake, for readers to look back at: lake_days <folder> <seed> <commits a day>. A
// restart each day, a TRUNCATE on the fourth, a resync on the sixth, under the usual window of seven days.
//
// Standard output has lines of JSON: {"moment", "instant", "rows"}: a state and the lake's version of it;
// {"look", "days", …}: how large the lake is, and what a commit and the services between two took since the
// last look; at the end {"read", "rows"} or {"read", "error"}: each moment again, as a statement reads it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/log.h"
#include "pipeline/small_lake.h"

namespace tarn::pipeline {
namespace {

using nlohmann::json;

constexpr int64_t kDay = 24LL * 3600 * 1'000'000;
constexpr int kDays = 8, kLooksOnLastDay = 8;
constexpr int kTruncatedOn = 4, kResyncedOn = 6;

json RowsJson(const SmallLake::Rows& rows) {
  json out = json::object();
  for (const auto& [id, value] : rows) out[std::to_string(id)] = value;
  return out;
}

void Print(const json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

class LakeDays {
 public:
  LakeDays(SmallLake* lake, unsigned seed, int commits_a_day)
      : lake_(lake), random_(seed), commits_a_day_(commits_a_day) {}

  Status Run() {
    for (day_ = 1; day_ <= kDays; day_++) TARN_RETURN_IF_ERROR(Day());
    TARN_RETURN_IF_ERROR(Remember("now"));
    for (const auto& [name, micros] : moments_) ReadAgain(name, micros);
    return {};
  }

 private:
  /// An hour of the day that the seed says, in commits.
  int Drawn() { return 1 + static_cast<int>(random_() % static_cast<unsigned>(commits_a_day_ / 2)); }

  Status Day() {
    TARN_RETURN_IF_ERROR(lake_->Reopen());
    const int remembered = Drawn();
    const int special = day_ == kTruncatedOn || day_ == kResyncedOn ? Drawn() : 0;
    const int looked_after = day_ == kDays ? std::max(commits_a_day_ / kLooksOnLastDay, 1) : commits_a_day_;
    for (int commit = 1; commit <= commits_a_day_; commit++) {
      lake_->Advance(kDay / commits_a_day_);
      TARN_RETURN_IF_ERROR(commit == special ? Special() : Commit());
      if (commit == remembered) TARN_RETURN_IF_ERROR(Remember("day " + std::to_string(day_)));
      if (commit % looked_after == 0) TARN_RETURN_IF_ERROR(Look(day_ - 1 + 1.0 * commit / commits_a_day_));
    }
    return {};
  }

  Status Commit() {
    const int64_t begun = MonotonicMicros();
    TARN_RETURN_IF_ERROR(lake_->Commit());
    const int64_t committed = MonotonicMicros();
    TARN_RETURN_IF_ERROR(lake_->RunServices());
    commit_micros_ += committed - begun;
    service_micros_ += MonotonicMicros() - committed;
    commits_++;
    return {};
  }

  Status Special() {
    const std::string what = day_ == kTruncatedOn ? "TRUNCATE" : "resync";
    TARN_RETURN_IF_ERROR(Remember("before the " + what));
    // A time has one state.
    lake_->Advance(kDay / commits_a_day_ / 2);
    TARN_RETURN_IF_ERROR(day_ == kTruncatedOn ? lake_->Truncate() : lake_->Resync());
    TARN_RETURN_IF_ERROR(lake_->RunServices());
    return Remember("after the " + what);
  }

  Status Remember(const std::string& name) {
    TARN_ASSIGN(const std::string instant, lake_->NewestInstant());
    Print({{"moment", name}, {"instant", instant}, {"rows", RowsJson(lake_->rows())}});
    moments_.emplace_back(name, lake_->now());
    return {};
  }

  Status Look(double days) {
    TARN_ASSIGN(const LakeSize size, lake_->Look());
    const int64_t commits = std::max<int64_t>(commits_, 1);
    Print({{"look", day_},
           {"days", days},
           {"files", size.files},
           {"bytes", size.bytes},
           {"archived_files", size.archived_files},
           {"archived_bytes", size.archived_bytes},
           {"instants", size.instants},
           {"versions", size.versions},
           {"logs_per_slice", size.logs_per_slice},
           {"sidecars", size.sidecars},
           {"plan_micros", size.plan_micros},
           {"plan_requests", size.plan_requests},
           {"commit_micros", commit_micros_ / commits},
           {"service_micros", service_micros_ / commits}});
    commits_ = commit_micros_ = service_micros_ = 0;
    return {};
  }

  void ReadAgain(const std::string& name, int64_t micros) {
    const auto rows = lake_->Read(micros);
    if (rows) {
      Print({{"read", name}, {"rows", RowsJson(*rows)}});
    } else {
      Print({{"read", name}, {"error", rows.error().message}});
    }
  }

  SmallLake* lake_;
  std::mt19937 random_;
  const int commits_a_day_;
  int day_ = 0;
  int64_t commits_ = 0, commit_micros_ = 0, service_micros_ = 0;
  std::vector<std::pair<std::string, int64_t>> moments_;
};

Status Run(const std::string& folder, unsigned seed, int commits_a_day) {
  TARN_ASSIGN(const auto lake, SmallLake::Make(folder, {}, seed));
  return LakeDays(lake.get(), seed + 1, commits_a_day).Run();
}

}  // namespace
}  // namespace tarn::pipeline

int main(int argc, char** argv) {
  const int commits_a_day = argc == 4 ? std::atoi(argv[3]) : 0;
  if (commits_a_day < tarn::pipeline::kLooksOnLastDay) {
    std::fprintf(stderr, "usage: lake_days <folder> <seed> <commits a day, 8 or more>\n");
    return 2;
  }
  tarn::InitLogging("error", "");
  const auto seed = static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10));
  const tarn::Status status = tarn::pipeline::Run(argv[1], seed, commits_a_day);
  if (!status) std::fprintf(stderr, "lake_days: %s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
