#include <gtest/gtest.h>
#include "iscsi/lun.h"
#include "iscsi/tests/tgtd_target.h"
using namespace holdfast; using namespace holdfast::scsi;
TEST(Slice, Works) {
  TgtdTarget t;
  auto a = *Attachment::parse(t.url()); a.initiator_name="iqn.2026-11.example:a"; a.isid_qualifier=1;
  auto b = a; b.initiator_name="iqn.2026-11.example:b"; b.isid_qualifier=2;
  auto la = make_lun(a), lb = make_lun(b);
  auto d = Duration::milliseconds(1000);
#define OK(x) do { auto s_ = (x); ASSERT_TRUE(s_.has_value()) << s_.error().text(); } while(0)
  OK(la->open(d)); OK(lb->open(d));
  auto c = la->capabilities(d); OK(c);
  std::cout << c->vendor << "|" << c->product << "|" << c->revision << "|" << c->serial << "|" << c->types_mask << " pa " << c->preempt_and_abort << " fs " << c->read_full_status << " dpofua " << c->dpofua << " wce " << c->write_cache << " caw " << c->compare_and_write << " aptpl " << c->aptpl_capable << " atp " << c->all_target_ports<< " bs " << c->block_size << " n " << c->block_count << "\n";
  for (auto& i : c->identities) std::cout << i << "\n";
  ReservationKey ka{0x1111000000000101}, kb{0x1111000000000102};
  OK(la->register_ignore(ka, d)); OK(la->reserve(ka, ReservationType::write_exclusive, d));
  OK(lb->register_ignore(kb, d));
  std::vector<char> buf(2<<20, 'x'), back(2<<20);
  OK(la->write(4096, buf.data(), buf.size(), d));
  OK(lb->read(4096, back.data(), back.size(), d));
  EXPECT_EQ(buf, back);
  auto w = lb->write(0, buf.data(), 4096, d); ASSERT_FALSE(w); std::cout << w.error().text() << "\n"; EXPECT_EQ(w.error().code, ErrorCode::conflict);
  OK(lb->preempt(kb, ka, ReservationType::write_exclusive, false, d));
  auto r = lb->read_reservation(d); OK(r); EXPECT_EQ(r->key, kb);
  auto p = lb->preempt(kb, ka, ReservationType::write_exclusive, true, d); ASSERT_FALSE(p); std::cout << p.error().text() << "\n";
  OK(lb->lun_reset(d));
  OK(lb->write(0, buf.data(), 4096, d));
  std::cout << la->unit_attention_count() << " " << lb->unit_attention_count() << "\n";
  w = la->write(0, buf.data(), 4096, d); ASSERT_FALSE(w); std::cout << w.error().text() << "\n"; EXPECT_EQ(w.error().code, ErrorCode::conflict);
  std::cout << la->unit_attention_count() << " " << lb->unit_attention_count() << "\n";
}
