#include <unistd.h>

#include <filesystem>

#include "cdc/transaction_spool.h"
#include "values.h"

namespace {

class Handler : public tarn::cdc::PgoutputHandler {
 public:
  tarn::Status OnBegin(const tarn::cdc::TransactionHead&) override { return {}; }
  tarn::Status OnRelation(tarn::cdc::StreamRelation) override { return {}; }
  tarn::Status OnRow(char, uint32_t relation, const std::vector<tarn::cdc::WireValue>& row,
                     const std::vector<tarn::cdc::WireValue>& old_row) override {
    values_.Take(row, relation);
    values_.Take(old_row, relation);
    return {};
  }
  tarn::Status OnTruncate(const std::vector<uint32_t>&) override { return {}; }
  tarn::Status OnCommit(tarn::Lsn) override { return {}; }

 private:
  tarn::fuzz::Values values_;
};

/// Of this process; goes with it.
struct Folder {
  const std::string path =
      std::filesystem::temp_directory_path() / ("tarn-fuzz-spool-" + std::to_string(::getpid()));
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

/// A stream of pgoutput messages, ordinary ones and blocks of open transactions, with their values decoded.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Folder folder;
  Handler handler;
  // So little memory that some inputs reach files and most do not.
  tarn::cdc::TransactionSpool spool({folder.path, 512}, &handler);
  tarn::fuzz::ForEachMessage(data, size, [&](std::string_view message) {
    (void)spool.Take(message).has_value();
    // A message that cannot be decoded is passed over, so that what is behind it is reached as well.
    while (spool.is_replaying()) (void)spool.ReplayStep().has_value();
  });
  if (spool.transactions() == 0 && spool.bytes() != 0) __builtin_trap();
  return 0;
}
