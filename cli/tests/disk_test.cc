// Disk verbs against a real target.
#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/tests/cli_run.h"
#include "iscsi/lun.h"
#include "iscsi/tests/tgtd_target.h"

namespace holdfast::cli::testing {
namespace {

using client::testing::FakeService;
constexpr auto limit = Duration::seconds(5);
constexpr auto type5 = scsi::ReservationType::write_exclusive_registrants_only;

class DiskVerbs : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root for tgtd";
    target_ = std::make_unique<scsi::TgtdTarget>();
    auto attachment = *scsi::Attachment::parse(target_->url());
    attachment.initiator_name = "iqn.2026-11.example:owner";
    owner_ = scsi::make_lun(attachment);
    ASSERT_TRUE(owner_->open(limit));
  }
  void reserve(ReservationKey key) {
    ASSERT_TRUE(owner_->register_ignore(key, limit));
    ASSERT_TRUE(owner_->reserve(key, type5, limit));
  }
  std::unique_ptr<scsi::TgtdTarget> target_;
  std::unique_ptr<scsi::Lun> owner_;
};

TEST_F(DiskVerbs, AFreeDiskNeedsNoRelease) {
  CliRun cli;
  EXPECT_EQ(cli({"disk", "release", target_->url(), "--yes"}), exit_ok) << cli.err.str();
  EXPECT_NE(cli.out.str().find("nobody has it reserved"), std::string::npos);
}

TEST_F(DiskVerbs, AForeignReservationIsReleasedOnlyByForceAndAfterAsking) {
  reserve(ReservationKey::make(7, 3, NodeId{2}));
  CliRun cli;
  EXPECT_EQ(cli({"disk", "release", target_->url(), "--yes"}), exit_failed);
  EXPECT_NE(cli.err.str().find("a key that is not of this cluster"), std::string::npos) << cli.err.str();
  EXPECT_EQ(cli({"disk", "release", target_->url(), "--force"}), exit_usage) << "nobody to ask";
  EXPECT_TRUE(owner_->read_reservation(limit)->held());
  EXPECT_EQ(cli({"disk", "release", target_->url(), "--force", "--yes", "--json"}), exit_ok) << cli.err.str();
  EXPECT_NE(cli.out.str().find("\"was_reserved\": true"), std::string::npos) << cli.out.str();
  EXPECT_FALSE(owner_->read_reservation(limit)->held());
  EXPECT_TRUE(owner_->read_keys(limit)->keys.empty());
}

TEST_F(DiskVerbs, TheDiskOfAResourceIsNotReleased) {
  CliRun cli;
  ASSERT_EQ(cli.create(), exit_ok) << cli.err.str();
  const uint16_t tag = cluster_tag(load_node_config(cli.context.config_path)->cluster_id);
  reserve(ReservationKey::make(tag, 3, NodeId{1}));
  EXPECT_EQ(cli({"disk", "release", target_->url(), "--yes"}), exit_failed);
  EXPECT_NE(cli.err.str().find("the service does not answer"), std::string::npos) << cli.err.str();

  std::string device = target_->url();
  FakeService service([&](const api::Request&) {
    std::vector<api::Response> answer(1);
    auto* resource = answer[0].mutable_status()->add_resources();
    resource->set_name("disk");
    resource->set_type("physical-disk");
    auto* p = resource->add_properties();
    p->set_name("Device");
    p->set_value(device);
    return answer;
  });
  std::vector<std::string> line = {"disk",    "release",  target_->url(), "--yes",
                                   "--force", "--socket", service.path()};
  EXPECT_EQ(cli(line), exit_failed);
  EXPECT_NE(cli.err.str().find("it is the disk of resource 'disk'"), std::string::npos) << cli.err.str();
  EXPECT_TRUE(owner_->read_reservation(limit)->held());
  device = "naa.6001405000000000";
  line.erase(line.begin() + 4);  // the service says that nobody uses it: no force
  EXPECT_EQ(cli(line), exit_ok) << cli.err.str();
  EXPECT_FALSE(owner_->read_reservation(limit)->held());
}

}  // namespace
}  // namespace holdfast::cli::testing
