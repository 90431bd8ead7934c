#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "hudi/record_key.h"

namespace tarn::hudi {

/// Values by identity, in memory: what std::unordered_map has of it that is needed, in one piece of memory
/// (open addressing, at most two thirds full). Entries are never taken out by themselves; those that come in
/// may move the others. In no order. Threads: as a container of the standard library.
template <typename Value>
class IdentityMap {
 public:
  using Slot = std::pair<Hash128, Value>;

  template <typename S>
  class Walk {
   public:
    Walk(S* slot, S* end) : slot_(slot), end_(end) { Skip(); }
    S& operator*() const { return *slot_; }
    S* operator->() const { return slot_; }
    Walk& operator++() {
      ++slot_;
      Skip();
      return *this;
    }
    bool operator==(const Walk& other) const { return slot_ == other.slot_; }

   private:
    void Skip() {
      while (slot_ != end_ && slot_->first == kFree) ++slot_;
    }
    S *slot_, *end_;
  };
  using iterator = Walk<Slot>;
  using const_iterator = Walk<const Slot>;

  iterator begin() { return {slots_.data(), End()}; }
  iterator end() { return {End(), End()}; }
  const_iterator begin() const { return {slots_.data(), End()}; }
  const_iterator end() const { return {End(), End()}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  iterator find(const Hash128& identity) {
    const size_t at = Find(identity);
    return at == kNowhere ? end() : iterator(&slots_[at], End());
  }
  const_iterator find(const Hash128& identity) const {
    const size_t at = Find(identity);
    return at == kNowhere ? end() : const_iterator(&slots_[at], End());
  }
  /// Of one that is there.
  Value& at(const Hash128& identity) { return slots_.at(Find(identity)).second; }
  /// The entry, a default value where there was none, and whether it is new.
  std::pair<iterator, bool> try_emplace(const Hash128& identity) {
    reserve(size_ + 1);
    const size_t at = Place(slots_, Kept(identity));
    const bool is_new = slots_[at].first == kFree;
    if (is_new) {
      slots_[at].first = Kept(identity);
      size_++;
    }
    return {iterator(&slots_[at], End()), is_new};
  }
  void reserve(size_t entries) {
    if (entries * 3 <= slots_.size() * 2) return;
    std::vector<Slot> larger(std::bit_ceil(entries * 3 / 2 + 8));
    for (Slot& slot : slots_) {
      if (!(slot.first == kFree)) larger[Place(larger, slot.first)] = std::move(slot);
    }
    slots_ = std::move(larger);
  }
  void clear() {
    slots_ = {};
    size_ = 0;
  }

 private:
  static constexpr Hash128 kFree{};
  static constexpr size_t kNowhere = SIZE_MAX;

  /// The one that would look free stands as another.
  static Hash128 Kept(const Hash128& identity) { return identity == kFree ? Hash128{0, 1} : identity; }
  static size_t Place(const std::vector<Slot>& slots, const Hash128& kept) {
    const size_t mask = slots.size() - 1;
    size_t at = kept.low & mask;
    while (!(slots[at].first == kFree) && !(slots[at].first == kept)) at = (at + 1) & mask;
    return at;
  }
  size_t Find(const Hash128& identity) const {
    if (slots_.empty()) return kNowhere;
    const size_t at = Place(slots_, Kept(identity));
    return slots_[at].first == kFree ? kNowhere : at;
  }
  Slot* End() { return slots_.data() + slots_.size(); }
  const Slot* End() const { return slots_.data() + slots_.size(); }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace tarn::hudi
