#include "cdc/pgoutput_decoder.h"
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

}  // namespace

/// A stream of pgoutput messages, with their values decoded.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Handler handler;
  tarn::cdc::PgoutputDecoder decoder(&handler);
  tarn::fuzz::ForEachMessage(data, size,
                             [&](std::string_view message) { (void)decoder.Decode(message).has_value(); });
  return 0;
}
