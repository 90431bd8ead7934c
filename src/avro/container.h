#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tarn::avro {

/// Encodes one value, given as JSON text, in a schema. A union takes its first branch for null when it has
/// one, else its first branch that is not null. Missing record fields take their default. Errors:
/// kInvalidArgument names the field whose value does not fit.
Result<std::string> EncodeJson(const std::string& schema_json, const std::string& value_json);

/// The reverse; unions give the bare value. kCorrupt when the bytes break the schema.
Result<std::string> DecodeJson(const std::string& schema_json, std::string_view bytes);

/// An Object Container File with one record and no compression, as Hudi's timeline files are.
Result<std::string> WriteContainer(const std::string& schema_json, const std::string& value_json);

/// All records of an Object Container File as JSON texts; codecs null and deflate.
/// Errors: kCorrupt, kUnsupported names the codec.
Result<std::vector<std::string>> ReadContainer(std::string_view bytes);

}  // namespace tarn::avro
