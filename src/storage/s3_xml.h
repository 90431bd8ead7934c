#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::storage {

/// What S3 answers with is small, flat XML of known names. These read it and nothing more: no attributes, no
/// name spaces, no comments. Bytes that are no XML give nothing.

/// The text inside the first `<name>`, entities decoded; nullopt when there is none.
std::optional<std::string> XmlText(std::string_view xml, std::string_view name);
/// What is inside each `<name>`, as it stands.
std::vector<std::string_view> XmlElements(std::string_view xml, std::string_view name);
/// For the text of an element.
std::string XmlEscape(std::string_view text);
/// "a%20b+c" of encoding-type=url: "a b c".
std::string UrlDecode(std::string_view text);

}  // namespace tarn::storage
