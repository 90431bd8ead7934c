#pragma once

#include <string>

namespace tarn::bronze {

/// Something of Bronze that is not as it was written.
struct ChainFault {
  std::string where;  ///< The file or manifest, below the lake's folder.
  std::string what;   ///< With the offending value.
  std::string fix;    ///< What to do.
};

}  // namespace tarn::bronze
