#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "hudi/table.h"

namespace tarn::hudi {

/// Java Properties: keys and values of hoodie.properties and of a partition's metadata file.
using Properties = std::map<std::string, std::string>;
Properties ParseProperties(std::string_view text);
std::string FormatProperties(const Properties& properties);

/// A table's hoodie.properties, or its backup while the file is being replaced. Errors: kNotFound when the
/// folder is no Hudi table.
Result<Properties> ReadProperties(const storage::Storage& storage, const std::string& base_path);

/// Decimal CRC-32 of "<database>.<table>", as hoodie.table.checksum wants it.
std::string TableChecksum(const std::string& database, const std::string& table);

/// What hoodie.properties says of a table, and back. The reverse leaves schema and sidecar_folder to the
/// caller. Errors: kUnsupported when version, layout or a metadata table forbid reading (or, with `writing`,
/// writing); kCorrupt when the file is not a table's.
Result<Properties> PropertiesOf(const TableOptions& options);
Result<TableOptions> OptionsOf(const Properties& properties, bool writing);

}  // namespace tarn::hudi
