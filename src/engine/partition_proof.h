#pragma once

#include <string>
#include <vector>

#include "engine/plan_analysis.h"

namespace tarn::engine {

/// Empty when the plan is proven to be partition-local by the output column of that name (ModelAnalysis);
/// else why not, in words.
std::string WhyNotLocal(duckdb::LogicalOperator& plan, const std::vector<std::string>& names,
                        const std::string& partition_column);

}  // namespace tarn::engine
