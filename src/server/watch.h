#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace tarn::server {

/// While it lives: asks `is_gone` every few milliseconds and, once it is true, calls `stop` again and again.
/// For calls that end only when another thread interrupts them. Threads: one of its own, joined by the
/// destructor.
class Watch {
 public:
  Watch(std::function<bool()> is_gone, std::function<void()> stop)
      : is_gone_(std::move(is_gone)), stop_(std::move(stop)), thread_([this] { Run(); }) {}
  ~Watch() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, std::chrono::milliseconds(20), [this] { return done_; })) {
      if (is_gone_()) stop_();
    }
  }

  std::function<bool()> is_gone_;
  std::function<void()> stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace tarn::server
