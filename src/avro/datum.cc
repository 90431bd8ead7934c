#include <map>
#include <nlohmann/json.hpp>

#include "avro/binary.h"
#include "avro/container.h"

namespace tarn::avro {
namespace {

using nlohmann::ordered_json;

/// How deep schemas and values may nest: real ones stay below ten, and a type can contain itself.
constexpr int kMaxDepth = 64;

/// A member of an object, or null.
const ordered_json& Member(const ordered_json& object, const char* key) {
  static const ordered_json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

std::string TextOf(const ordered_json& value) { return value.is_string() ? value.get<std::string>() : ""; }

/// Schemas nest named types; a later mention is by name alone.
class Types {
 public:
  void Register(const ordered_json& schema, int depth = 0) {
    if (depth > kMaxDepth || !schema.is_structured()) return;
    if (schema.is_array()) {
      for (const auto& branch : schema) Register(branch, depth + 1);
    }
    const std::string type = TextOf(Member(schema, "type"));
    if (type == "record" || type == "fixed" || type == "enum")
      named_.emplace(TextOf(Member(schema, "name")), &schema);
    for (const auto& field : Member(schema, "fields")) Register(Member(field, "type"), depth + 1);
    for (const char* key : {"items", "values", "type"}) Register(Member(schema, key), depth + 1);
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
  return TextOf(schema.is_string() ? schema : Member(schema, "type"));
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

/// Reads one value whose schema and bytes nobody vouches for.
class DatumReader {
 public:
  DatumReader(const Types& types, std::string_view bytes)
      : types_(types), decoder_(bytes), values_left_(100'000 + 64 * static_cast<int64_t>(bytes.size())) {}

  bool failed() const { return bad_ || decoder_.failed(); }

  ordered_json Read(const ordered_json& schema) {
    // Values of no bytes (null, an empty record) could be there without end.
    if (failed() || depth_ > kMaxDepth || values_left_-- <= 0) return Bad();
    depth_++;
    ordered_json value = schema.is_array() ? ReadUnion(schema) : ReadType(schema);
    depth_--;
    return value;
  }

 private:
  ordered_json Bad() {
    bad_ = true;
    return {};
  }

  ordered_json ReadUnion(const ordered_json& schema) {
    const int64_t branch = decoder_.GetLong();
    if (branch < 0 || branch >= static_cast<int64_t>(schema.size())) return Bad();
    return Read(schema[static_cast<size_t>(branch)]);
  }

  ordered_json ReadRecord(const ordered_json& schema) {
    ordered_json value = ordered_json::object();
    for (const auto& field : Member(schema, "fields")) {
      value[TextOf(Member(field, "name"))] = Read(Member(field, "type"));
      if (failed()) break;
    }
    return value;
  }

  ordered_json ReadCollection(const ordered_json& schema, bool is_map) {
    ordered_json value = is_map ? ordered_json::object() : ordered_json::array();
    while (!failed()) {
      int64_t count = decoder_.GetLong();
      if (count == 0) break;
      if (count < 0) {
        if (count == INT64_MIN) return Bad();
        count = -count;
        decoder_.GetLong();  // Bytes of the block, for readers that skip.
      }
      for (int64_t i = 0; i < count && !failed(); i++) {
        if (is_map) {
          const std::string key(decoder_.GetString());
          value[key] = Read(Member(schema, "values"));
        } else {
          value.push_back(Read(Member(schema, "items")));
        }
      }
    }
    return value;
  }

  ordered_json ReadType(const ordered_json& schema) {
    const std::string type = TypeName(schema);
    if (type == "null") return {};
    if (type == "record") return ReadRecord(schema);
    if (type == "array" || type == "map") return ReadCollection(schema, type == "map");
    if (type == "string" || type == "bytes") return std::string(decoder_.GetString());
    if (type == "fixed") {
      const ordered_json& size = Member(schema, "size");
      return size.is_number_integer() ? ordered_json(std::string(decoder_.GetFixed(size.get<int64_t>())))
                                      : Bad();
    }
    if (type == "boolean") return decoder_.GetBool();
    if (type == "int" || type == "long" || type == "enum") return decoder_.GetLong();
    if (type == "float") return decoder_.GetFloat();
    if (type == "double") return decoder_.GetDouble();
    const ordered_json* named = types_.Find(type);
    return named == nullptr ? Bad() : Read(*named);
  }

  const Types& types_;
  Decoder decoder_;
  int64_t values_left_;
  int depth_ = 0;
  bool bad_ = false;
};

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
  DatumReader reader(types, bytes);
  const ordered_json value = reader.Read(schema);
  if (reader.failed())
    return MakeError(ErrorCode::kCorrupt, "{} bytes break their Avro schema", bytes.size());
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace tarn::avro
