#pragma once

#include <cstdint>
#include <string>

namespace tarn::cdc {

// pgoutput's messages as a server writes them, for tests.

inline std::string Big(uint64_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}
inline std::string Text(const std::string& text) { return text + '\0'; }
inline std::string Value(const std::string& text) { return "t" + Big(text.size(), 4) + text; }

inline std::string Begin(uint64_t commit_lsn, uint32_t xid = 77) {
  return "B" + Big(commit_lsn, 8) + Big(0, 8) + Big(xid, 4);
}
inline std::string Commit(uint64_t commit_lsn) {
  return "C" + Big(0, 1) + Big(commit_lsn, 8) + Big(commit_lsn + 8, 8) + Big(0, 8);
}
/// A table with the columns id int8 (its key), body text, and `more` columns of text.
inline std::string Relation(uint32_t oid = 5, int more = 0) {
  std::string out = "R" + Big(oid, 4) + Text("public") + Text("notes" + std::to_string(oid)) + "d";
  out += Big(static_cast<uint64_t>(2 + more), 2) + Big(1, 1) + Text("id") + Big(20, 4) + Big(0xffffffff, 4);
  out += Big(0, 1) + Text("body") + Big(25, 4) + Big(0xffffffff, 4);
  for (int i = 0; i < more; i++)
    out += Big(0, 1) + Text("more" + std::to_string(i)) + Big(25, 4) + Big(0xffffffff, 4);
  return out;
}
inline std::string Insert(const std::string& id, const std::string& body, uint32_t oid = 5, int more = 0) {
  std::string out =
      "I" + Big(oid, 4) + "N" + Big(static_cast<uint64_t>(2 + more), 2) + Value(id) + Value(body);
  for (int i = 0; i < more; i++) out += Value("more of " + id);
  return out;
}
inline std::string Truncate(uint32_t oid = 5) { return "T" + Big(1, 4) + Big(0, 1) + Big(oid, 4); }

// Of protocol 2.

inline std::string StreamStart(uint32_t xid, bool is_first) {
  return "S" + Big(xid, 4) + Big(is_first ? 1 : 0, 1);
}
inline std::string StreamStop() { return "E"; }
/// `message` as it stands in a block, of the (sub)transaction `xid`.
inline std::string Within(uint32_t xid, const std::string& message) {
  return message.substr(0, 1) + Big(xid, 4) + message.substr(1);
}
inline std::string StreamCommit(uint32_t xid, uint64_t commit_lsn) {
  return "c" + Big(xid, 4) + Big(0, 1) + Big(commit_lsn, 8) + Big(commit_lsn + 8, 8) + Big(0, 8);
}
inline std::string StreamAbort(uint32_t xid, uint32_t subxid) { return "A" + Big(xid, 4) + Big(subxid, 4); }

}  // namespace tarn::cdc
