// Decoders against answers that tgtd cannot give (full status, capabilities) and against cut ones.
#include <cstring>

#include "base/bytes.h"
#include "iscsi/commands.h"
#include "iscsi/helper_messages.h"
#include "iscsi/scsi_lun.h"
#include "iscsi/sense.h"
#include "iscsi/signatures.h"
#include "iscsi/tests/conformance_fixture.h"

namespace holdfast::scsi {
namespace {

std::vector<uint8_t> full_status_answer() {
  const std::string id = "iqn.2026-11.example:a,i,0x800048000001";
  std::vector<uint8_t> out(8 + 24 + 4 + 40);
  put_be(&out[0], 9, 4);
  put_be(&out[4], 24 + 44, 4);
  put_be(&out[8], 0x7e57'0000'0001'0001, 8);
  out[8 + 12] = 1;
  out[8 + 13] = 5;
  put_be(&out[8 + 18], 3, 2);
  put_be(&out[8 + 20], 44, 4);
  out[32] = 0x45;  // format 1, iSCSI
  put_be(&out[34], 40, 2);
  memcpy(&out[36], id.data(), id.size());
  return out;
}

TEST(DecodeTest, FullStatus) {
  auto all = decode_full_status(full_status_answer());
  ASSERT_OK(all);
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ(all->front().key.value, 0x7e57'0000'0001'0001u);
  EXPECT_TRUE(all->front().holder);
  EXPECT_EQ(all->front().type, ReservationType::write_exclusive_registrants_only);
  EXPECT_EQ(all->front().relative_port, 3);
  EXPECT_EQ(all->front().transport_id, "iqn.2026-11.example:a,i,0x800048000001");
}

TEST(DecodeTest, CutAnswersAreCorrupt) {
  auto whole = full_status_answer();
  for (size_t size = 0; size < whole.size(); ++size) {
    std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_FAILS(ErrorCode::corrupt, decode_full_status(cut));
    EXPECT_FAILS(ErrorCode::corrupt, decode_keys(cut));
    EXPECT_FAILS(ErrorCode::corrupt, decode_reservation(cut));
  }
  put_be(&whole[8 + 20], 0xffffffff, 4);  // a descriptor longer than the answer
  EXPECT_FAILS(ErrorCode::corrupt, decode_full_status(whole));
}

TEST(DecodeTest, Capabilities) {
  Capabilities c;
  decode_pr_capabilities({0, 8, 0x05, 0x81, 0xea, 0x01, 0, 0}, c);
  EXPECT_TRUE(c.aptpl_capable && c.aptpl_active && c.all_target_ports);
  for (int type : {1, 3, 5, 6, 7, 8}) EXPECT_TRUE(c.supports(static_cast<ReservationType>(type))) << type;
  for (int type : {0, 2, 4}) EXPECT_FALSE(c.supports(static_cast<ReservationType>(type))) << type;
}

TEST(DecodeTest, IdentitiesBestFirst) {
  std::vector<uint8_t> page = {0, 0x83, 0, 0};
  auto add = [&](uint8_t type, uint8_t association, std::vector<uint8_t> id) {
    page.insert(page.end(),
                {1, static_cast<uint8_t>(association << 4 | type), 0, static_cast<uint8_t>(id.size())});
    page.insert(page.end(), id.begin(), id.end());
    put_be(&page[2], page.size() - 4, 2);
  };
  add(1, 0, {'A', 'C', 'M', 'E', ' '});
  add(3, 1, {0x50, 0, 0, 0, 0, 0, 0, 9});  // names a port
  add(2, 0, {1, 2, 3, 4, 5, 6, 7, 8});
  add(3, 0, {0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
  EXPECT_EQ(decode_identities(page), (std::vector<std::string>{"naa.600102030405060708090a0b0c0d0e0f",
                                                               "eui.0102030405060708", "t10.ACME"}));
  page.pop_back();
  EXPECT_EQ(decode_identities(page).size(), 2u);
}

// A disk without reservations that says where its last block is.
class SizedTarget : public Transport {
 public:
  explicit SizedTarget(uint64_t last_block) : last_block_(last_block) {}
  Status open(const Deadline&) override {
    open_ = true;
    return {};
  }
  void close() override { open_ = false; }
  bool is_open() const override { return open_; }
  Status lun_reset(const Deadline&) override { return {}; }
  Result<Completion> execute(const Command& command, const Deadline&) override {
    Completion done;
    done.transferred = command.size;
    if (command.direction != Direction::in) return done;
    auto* data = static_cast<uint8_t*>(command.data);
    memset(data, 0, command.size);
    if (command.cdb[0] == 0x9e && command.size >= 12) {  // READ CAPACITY(16)
      put_be(data, last_block_, 8);
      put_be(data + 8, 512, 4);
    }
    return done;
  }

 private:
  const uint64_t last_block_;
  bool open_ = false;
};

TEST(DecodeTest, ASizeThatCannotBeCountedIsCorrupt) {
  const auto open = [](uint64_t last_block) {
    ScsiLun lun({}, std::make_unique<SizedTarget>(last_block));
    return lun.open(Duration::seconds(5));
  };
  EXPECT_OK(open(131071));
  EXPECT_FAILS(ErrorCode::corrupt, open(UINT64_MAX));         // one more is no block at all
  EXPECT_FAILS(ErrorCode::corrupt, open(uint64_t{1} << 55));  // 2^64 bytes
  EXPECT_FAILS(ErrorCode::corrupt, open(INT64_MAX / 512));
}

TEST(DecodeTest, ErrorsOfAHelperHaveCodesThatExist) {
  FrameWriter out;
  out.number(65536).number(0).text("what").text("");  // 0, which is ok, in 16 bits
  const std::string frame = out.take();
  FrameReader in(frame);
  EXPECT_EQ(get_error(in).code, ErrorCode::internal);
}

TEST(DecodeTest, ACutSuperblockIsNoFileSystem) {
  std::vector<uint8_t> head(1024 + 0x38 + 2);
  head[1024 + 0x38] = 0x53;
  head[1024 + 0x39] = 0xef;
  for (const auto& content : recognise(head, {}, head.size())) EXPECT_FALSE(content.kind.starts_with("ext"));
}

TEST(SenseTest, OutcomeTable) {
  struct Case {
    uint8_t status, key;
    uint16_t code;
    ErrorCode expected;
    bool uncertain;
  };
  for (const Case& c :
       std::initializer_list<Case>{{status_reservation_conflict, 0, 0, ErrorCode::conflict, false},
                                   {status_busy, 0, 0, ErrorCode::busy, false},
                                   {status_task_set_full, 0, 0, ErrorCode::busy, false},
                                   {status_task_aborted, 0, 0, ErrorCode::cancelled, true},
                                   {status_check_condition, 2, 0x0401, ErrorCode::busy, false},
                                   {status_check_condition, 3, 0x1100, ErrorCode::io, true},
                                   {status_check_condition, 5, 0x2000, ErrorCode::unsupported, false},
                                   {status_check_condition, 5, 0x2400, ErrorCode::unsupported, false},
                                   {status_check_condition, 5, 0x2604, ErrorCode::invalid_argument, false},
                                   {status_check_condition, 6, 0x2a05, ErrorCode::unit_attention, false},
                                   {status_check_condition, 7, 0x2700, ErrorCode::permission, false},
                                   {status_check_condition, 0xb, 0x4b00, ErrorCode::io, true}}) {
    Completion answer;
    answer.status = c.status;
    answer.sense_key = c.key;
    answer.sense_code = c.code;
    Status verdict = judge(answer, "PREEMPT", "/dev/sdx");
    EXPECT_FAILS(c.expected, verdict);
    EXPECT_EQ(verdict.error().uncertain(), c.uncertain) << verdict.error().text();
  }
}

}  // namespace
}  // namespace holdfast::scsi
