#pragma once

#include <string>

#include "engine/plan_analysis.h"

namespace tarn::engine {

struct TimeFinding {
  TimeDependence dependence = TimeDependence::kNone;
  std::string reason;  ///< Of kMoment: where.
};

/// How a plan in which as_of() is still a call depends on the time.
TimeFinding FindTimeDependence(duckdb::LogicalOperator& plan);

}  // namespace tarn::engine
