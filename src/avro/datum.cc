#include <map>
#include <nlohmann/json.hpp>

#include "avro/binary.h"
#include "avro/container.h"

namespace tarn::avro {
namespace {

using nlohmann::ordered_json;

/// Schemas nest named types; a later mention is by name alone.
class Types {
 public:
  void Register(const ordered_json& schema) {
    if (schema.is_array()) {
      for (const auto& branch : schema) Register(branch);
    }
    if (!schema.is_object()) return;
    if (schema.contains("name") && schema.contains("type") && schema["type"].is_string()) {
      const std::string type = schema["type"];
      if (type == "record" || type == "fixed" || type == "enum") named_.emplace(schema["name"], &schema);
    }
    if (schema.contains("fields")) {
      for (const auto& field : schema["fields"]) Register(field["type"]);
    }
    for (const char* key : {"items", "values", "type"}) {
      if (schema.contains(key)) Register(schema[key]);
    }
  }
  const ordered_json* Find(std::string name) const {
    const size_t dot = name.rfind('.');
    if (dot != std::string::npos) name = name.substr(dot + 1);
    const auto it = named_.find(name);
    return it == named_.end() ? nullptr : it->second;
  }

 private:
  std::map<std::string, const ordered_json*> named_;
};

std::string TypeName(const ordered_json& schema) {
  if (schema.is_string()) return schema.get<std::string>();
  if (schema.is_object() && schema.contains("type") && schema["type"].is_string()) return schema["type"];
  return {};
}

Error Misfit(const std::string& path, const ordered_json& schema) {
  return MakeError(ErrorCode::kInvalidArgument, "'{}' does not fit Avro type {}", path,
                   schema.dump().substr(0, 120));
}

Status Encode(const Types& types, const ordered_json& schema, const ordered_json& value,
              const std::string& path, std::string* out);

Status EncodeRecord(const Types& types, const ordered_json& schema, const ordered_json& value,
                    const std::string& path, std::string* out) {
  if (!value.is_object()) return Misfit(path, schema);
  for (const auto& field : schema["fields"]) {
    const std::string name = field["name"];
    if (value.contains(name)) {
      TARN_RETURN_IF_ERROR(Encode(types, field["type"], value[name], path + "." + name, out));
    } else {
      TARN_RETURN_IF_ERROR(
          Encode(types, field["type"], field.value("default", ordered_json()), path + "." + name, out));
    }
  }
  return {};
}

Status EncodeCollection(const Types& types, const ordered_json& schema, const ordered_json& value,
                        const std::string& path, std::string* out) {
  const bool is_map = TypeName(schema) == "map";
  if (is_map ? !value.is_object() : !value.is_array()) return Misfit(path, schema);
  Encoder encoder(out);
  if (!value.empty()) encoder.PutLong(static_cast<int64_t>(value.size()));
  for (const auto& [key, item] : value.items()) {
    if (is_map) encoder.PutString(key);
    TARN_RETURN_IF_ERROR(Encode(types, schema[is_map ? "values" : "items"], item, path + "." + key, out));
  }
  encoder.PutLong(0);
  return {};
}

Status EncodeUnion(const Types& types, const ordered_json& schema, const ordered_json& value,
                   const std::string& path, std::string* out) {
  for (size_t i = 0; i < schema.size(); i++) {
    if (value.is_null() != (schema[i] == "null")) continue;
    Encoder(out).PutLong(static_cast<int64_t>(i));
    return Encode(types, schema[i], value, path, out);
  }
  return Misfit(path, schema);
}

Status Encode(const Types& types, const ordered_json& schema, const ordered_json& value,
              const std::string& path, std::string* out) {
  if (schema.is_array()) return EncodeUnion(types, schema, value, path, out);
  const std::string type = TypeName(schema);
  Encoder encoder(out);
  if (type == "null") return {};
  if (type == "record") return EncodeRecord(types, schema, value, path, out);
  if (type == "array" || type == "map") return EncodeCollection(types, schema, value, path, out);
  if (type == "string" || type == "bytes") {
    if (!value.is_string()) return Misfit(path, schema);
    encoder.PutString(value.get_ref<const std::string&>());
    return {};
  }
  if (type == "boolean") {
    if (!value.is_boolean()) return Misfit(path, schema);
    encoder.PutBool(value.get<bool>());
    return {};
  }
  if (type == "int" || type == "long") {
    if (!value.is_number_integer()) return Misfit(path, schema);
    encoder.PutLong(value.get<int64_t>());
    return {};
  }
  if (type == "float" || type == "double") {
    if (!value.is_number()) return Misfit(path, schema);
    type == "float" ? encoder.PutFloat(value.get<float>()) : encoder.PutDouble(value.get<double>());
    return {};
  }
  const ordered_json* named = types.Find(type);
  if (named == nullptr) return Misfit(path, schema);
  return Encode(types, *named, value, path, out);
}

ordered_json Decode(const Types& types, const ordered_json& schema, Decoder& decoder, bool& bad);

ordered_json DecodeCollection(const Types& types, const ordered_json& schema, Decoder& decoder, bool& bad) {
  const bool is_map = TypeName(schema) == "map";
  ordered_json value = is_map ? ordered_json::object() : ordered_json::array();
  while (!bad && !decoder.failed()) {
    int64_t count = decoder.GetLong();
    if (count == 0) return value;
    if (count < 0) {
      count = -count;
      decoder.GetLong();  // Bytes of the block, for readers that skip.
    }
    for (int64_t i = 0; i < count && !bad && !decoder.failed(); i++) {
      if (is_map) {
        const std::string key(decoder.GetString());
        value[key] = Decode(types, schema["values"], decoder, bad);
      } else {
        value.push_back(Decode(types, schema["items"], decoder, bad));
      }
    }
  }
  return value;
}

ordered_json Decode(const Types& types, const ordered_json& schema, Decoder& decoder, bool& bad) {
  if (bad || decoder.failed()) return {};
  if (schema.is_array()) {
    const int64_t branch = decoder.GetLong();
    if (branch < 0 || branch >= static_cast<int64_t>(schema.size())) {
      bad = true;
      return {};
    }
    return Decode(types, schema[static_cast<size_t>(branch)], decoder, bad);
  }
  const std::string type = TypeName(schema);
  if (type == "null") return {};
  if (type == "record") {
    ordered_json value = ordered_json::object();
    for (const auto& field : schema["fields"]) {
      value[field["name"].get<std::string>()] = Decode(types, field["type"], decoder, bad);
    }
    return value;
  }
  if (type == "array" || type == "map") return DecodeCollection(types, schema, decoder, bad);
  if (type == "string" || type == "bytes") return std::string(decoder.GetString());
  if (type == "fixed") return std::string(decoder.GetFixed(schema.value("size", 0)));
  if (type == "boolean") return decoder.GetBool();
  if (type == "int" || type == "long" || type == "enum") return decoder.GetLong();
  if (type == "float") return decoder.GetFloat();
  if (type == "double") return decoder.GetDouble();
  const ordered_json* named = types.Find(type);
  bad = named == nullptr;
  return bad ? ordered_json() : Decode(types, *named, decoder, bad);
}

}  // namespace

Result<std::string> EncodeJson(const std::string& schema_json, const std::string& value_json) {
  const ordered_json schema = ordered_json::parse(schema_json, nullptr, false);
  const ordered_json value = ordered_json::parse(value_json, nullptr, false);
  if (schema.is_discarded() || value.is_discarded()) {
    return MakeError(ErrorCode::kInvalidArgument, "schema or value is not JSON: '{}'",
                     value_json.substr(0, 120));
  }
  Types types;
  types.Register(schema);
  std::string out;
  TARN_RETURN_IF_ERROR(
      Encode(types, schema, value, schema.is_object() ? schema.value("name", "") : "", &out));
  return out;
}

Result<std::string> DecodeJson(const std::string& schema_json, std::string_view bytes) {
  const ordered_json schema = ordered_json::parse(schema_json, nullptr, false);
  if (schema.is_discarded())
    return MakeError(ErrorCode::kCorrupt, "not a schema: '{}'", schema_json.substr(0, 120));
  Types types;
  types.Register(schema);
  Decoder decoder(bytes);
  bool bad = false;
  const ordered_json value = Decode(types, schema, decoder, bad);
  if (bad || decoder.failed())
    return MakeError(ErrorCode::kCorrupt, "{} bytes break their Avro schema", bytes.size());
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace tarn::avro
