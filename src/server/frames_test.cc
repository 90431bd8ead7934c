#include "server/frames.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

namespace tarn::server {
namespace {

TEST(FramesTest, FramesGoThroughASocketInAFolderWithALongName) {
  std::string pattern = testing::TempDir() + "tarn-frames-XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  const std::string folder = pattern + "/" + std::string(150, 'x');
  std::filesystem::create_directories(folder);
  EXPECT_EQ(ConnectLocal(folder).error().code, ErrorCode::kNotFound);
  const auto listener = ListenLocal(folder);
  ASSERT_TRUE(listener) << listener.error().message;
  std::thread server([&] {
    FrameSocket socket(::accept(*listener, nullptr, nullptr));
    const auto frame = socket.Receive();
    ASSERT_TRUE(frame);
    ASSERT_TRUE(socket.Send(FrameKind::kReply, frame->payload + std::string(100'000, 'y')));
  });
  auto client = ConnectLocal(folder);
  ASSERT_TRUE(client);
  ASSERT_TRUE(client->Send(FrameKind::kRequest, "hello"));
  const auto reply = client->Receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->kind, FrameKind::kReply);
  EXPECT_EQ(reply->payload.size(), 100'005U);
  server.join();
  EXPECT_EQ(client->Receive().error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(client->PeerIsGone());
  ::close(*listener);
  std::filesystem::remove_all(pattern);
}

TEST(FramesTest, WhatIsNoFrameIsRefusedBeforeMemoryIsTaken) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  FrameSocket a(pair[0]);
  ASSERT_EQ(::write(pair[1], "J\xff\xff\xff\xff", 5), 5);
  EXPECT_EQ(a.Receive().error().code, ErrorCode::kCorrupt);
  ::close(pair[1]);
}

}  // namespace
}  // namespace tarn::server
