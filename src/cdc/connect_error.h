#pragma once

#include <string>

#include "base/error.h"

namespace tarn::cdc {

/// What libpq says of a connection that was not made, with what to do about it. kPermission: the login or the
/// certificates are wrong, which waiting does not mend; kNotFound: there is no such database or role;
/// kUnavailable otherwise.
Error ConnectError(const std::string& message);

}  // namespace tarn::cdc
