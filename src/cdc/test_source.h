#pragma once

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "cdc/test_messages.h"

namespace tarn::cdc {

/// A made-up server on which some connections work at random, in transactions with nested subtransactions,
/// rollbacks of both, truncates and added columns. It writes what they do twice: as protocol 2 with blocks of
/// open transactions (when descriptions of tables are sent, and which rollbacks are told, is as in
/// PostgreSQL's reorderbuffer.c and pgoutput.c), and as protocol 1 without.
class TestSource {
 public:
  explicit TestSource(unsigned seed) : random_(seed) {}

  std::vector<std::string> streamed, plain;
  int blocks = 0, subtransaction_rollbacks = 0, rollbacks = 0;

  void Step() {
    Session& session = sessions_[Random(kSessions)];
    if (session.open.empty()) {
      session = Session{.open = {Scope{next_xid_++, session.columns}}, .columns = session.columns};
      return;
    }
    const unsigned kind = Random(100);
    if (kind < 50) return Change(session);
    if (kind < 60) return session.open.push_back({next_xid_++, session.columns});
    if (kind < 67) return Release(session);
    if (kind < 75) return RollBackSubtransaction(session);
    if (kind < 77) session.columns = (session.columns + 1) % 4;
    if (kind < 90) return Block(session);
    if (kind < 97) return CommitIt(session);
    RollBack(session);
  }

  void CommitAll() {
    for (Session& session : sessions_)
      if (!session.open.empty()) CommitIt(session);
  }

 private:
  static constexpr int kSessions = 4;
  static constexpr uint32_t kShared = 5, kOwn = 100;
  struct Scope {
    uint32_t xid;
    int columns;                       ///< Of the session's own table when it began.
    std::vector<uint32_t> children{};  ///< Released ones.
  };
  struct Written {
    uint32_t xid, table;
    int columns;
    std::string message;
    bool told = false;  ///< In a block.
  };
  struct Session {
    std::vector<Scope> open{};  ///< The transaction and the subtransactions in it.
    std::vector<Written> changes{};
    int columns = 0;
    bool is_streamed = false;
    std::map<uint32_t, int> described{};  ///< Tables in this transaction's blocks, by their columns.
  };

  unsigned Random(unsigned below) { return static_cast<unsigned>(random_() % below); }

  void Change(Session& session) {
    const bool own = Random(2) == 0;
    const uint32_t table = own ? kOwn + static_cast<uint32_t>(&session - sessions_) : kShared;
    const int columns = own ? session.columns : 0;
    const std::string body(Random(20) == 0 ? 3000 : Random(30), 'x');
    const std::string message =
        Random(15) == 0 ? Truncate(table) : Insert(std::to_string(next_id_++), body, table, columns);
    session.changes.push_back({session.open.back().xid, table, columns, message});
  }

  void Release(Session& session) {
    if (session.open.size() == 1) return;
    Scope child = std::move(session.open.back());
    session.open.pop_back();
    auto& children = session.open.back().children;
    children.push_back(child.xid);
    children.insert(children.end(), child.children.begin(), child.children.end());
  }

  void Forget(Session& session, uint32_t xid) {
    const auto is_its = [&](const Written& w) { return w.xid == xid; };
    const bool told = std::any_of(session.changes.begin(), session.changes.end(),
                                  [&](auto& w) { return is_its(w) && w.told; });
    std::erase_if(session.changes, is_its);
    if (!told) return;
    streamed.push_back(StreamAbort(session.open[0].xid, xid));
    session.described.clear();
  }

  void RollBackSubtransaction(Session& session) {
    if (session.open.size() == 1) return;
    const Scope scope = session.open.back();
    session.open.pop_back();
    session.columns = scope.columns;
    for (const uint32_t child : scope.children) Forget(session, child);
    Forget(session, scope.xid);
    subtransaction_rollbacks++;
  }

  /// A block with what was not told yet.
  void Block(Session& session) {
    const uint32_t xid = session.open[0].xid;
    streamed.push_back(StreamStart(xid, !session.is_streamed));
    for (Written& change : session.changes) {
      if (std::exchange(change.told, true)) continue;
      const auto [at, is_new] = session.described.try_emplace(change.table, change.columns);
      if (is_new || at->second != change.columns)
        streamed.push_back(Within(change.xid, Relation(change.table, change.columns)));
      at->second = change.columns;
      streamed.push_back(Within(change.xid, change.message));
    }
    streamed.push_back(StreamStop());
    session.is_streamed = true;
    blocks++;
  }

  void WriteWhole(Session& session, std::vector<std::string>& out, std::map<uint32_t, int>& described) {
    out.push_back(Begin(lsn_, session.open[0].xid));
    for (const Written& change : session.changes) {
      const auto [at, is_new] = described.try_emplace(change.table, change.columns);
      if (is_new || at->second != change.columns) out.push_back(Relation(change.table, change.columns));
      at->second = change.columns;
      out.push_back(change.message);
    }
    out.push_back(cdc::Commit(lsn_));
  }

  void CommitIt(Session& session) {
    lsn_ += 100;
    if (session.is_streamed) {
      Block(session);
      streamed.push_back(StreamCommit(session.open[0].xid, lsn_));
      for (const auto& [table, columns] : session.described) described_[table] = columns;
    } else {
      WriteWhole(session, streamed, described_);
    }
    WriteWhole(session, plain, plain_described_);
    session = Session{.columns = session.columns};
  }

  void RollBack(Session& session) {
    while (session.open.size() > 1) RollBackSubtransaction(session);
    const Scope top = session.open[0];
    for (const uint32_t child : top.children) Forget(session, child);
    if (session.is_streamed) streamed.push_back(StreamAbort(top.xid, top.xid));
    session = Session{.columns = top.columns};
    rollbacks++;
  }

  std::mt19937 random_;
  Session sessions_[kSessions];
  std::map<uint32_t, int> described_, plain_described_;  ///< Tables outside of blocks, by their columns.
  uint32_t next_xid_ = 1000;
  uint64_t lsn_ = 1000;
  int next_id_ = 1;
};

}  // namespace tarn::cdc
