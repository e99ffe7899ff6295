#include "acquire.h"

#include <strings.h>

#include <algorithm>

namespace holdfast::disk {
namespace {

using scsi::ReservationType;
constexpr auto our_type = ReservationType::write_exclusive_registrants_only;

bool is_older_of_ours(ReservationKey key, ReservationKey own) {
  return key.tag() == own.tag() && key.counter() < own.counter();
}

Status ensure_open(scsi::Lun& lun, Duration limit) {
  return lun.is_open() ? Status{} : lun.open(limit);
}

// Judges who holds or could write before anything is changed.
Status judge(const scsi::Reservation& now, const std::vector<ReservationKey>& keys, const Claim& claim) {
  auto refuse = [&](ReservationKey key, const char* what) {
    return fail(
        ErrorCode::conflict,
        std::string("the disk is ") + what + " " + describe_key(key, claim.own.tag()) +
            ", who is neither the previous owner named by the order nor an older owner of this cluster");
  };
  if (now.held() && now.key != claim.own) {
    if (now.type != our_type)
      return fail(ErrorCode::conflict,
                  "the disk is reserved in another way (" + std::string(scsi::to_string(now.type)) + ") by " +
                      describe_key(now.key, claim.own.tag()),
                  0, "it may belong to another cluster; clear the reservation by hand if not");
    if (now.key != claim.victim && !is_older_of_ours(now.key, claim.own)) return refuse(now.key, "held by");
  }
  for (auto key : keys)
    if (key != claim.own && key != claim.victim && !is_older_of_ours(key, claim.own))
      return refuse(key, "registered by");
  return {};
}

// After an unknown outcome only the reservation itself tells.
Result<bool> holds(scsi::Lun& lun, ReservationKey own, Duration limit) {
  HOLDFAST_CHECK(ensure_open(lun, limit));
  HOLDFAST_TRY(auto now, lun.read_reservation(limit));
  return now.key == own && now.type == our_type;
}

// Takes the reservation from `holder`. Sets `reset` when commands of the old owner may still be in flight.
Status preempt(scsi::Lun& lun, ReservationKey own, ReservationKey holder, bool can_abort, Duration limit,
               bool* reset) {
  Status done =
      can_abort ? lun.preempt(own, holder, our_type, true, limit) : fail(ErrorCode::unsupported, "");
  if (done) return {};
  *reset = true;
  if (done.error().code == ErrorCode::unsupported) done = lun.preempt(own, holder, our_type, false, limit);
  if (done) return {};
  HOLDFAST_TRY(bool ours, holds(lun, own, limit));
  if (ours) return {};
  return fail(done.error());
}

Status take(scsi::Lun& lun, const Claim& claim, const scsi::Capabilities& can) {
  Duration limit = claim.command_limit;
  HOLDFAST_TRY(auto now, lun.read_reservation(limit));
  HOLDFAST_TRY(auto registered, lun.read_keys(limit));
  HOLDFAST_CHECK(judge(now, registered.keys, claim));
  HOLDFAST_CHECK(lun.register_ignore(claim.own, limit));
  bool reset = false;
  if (!now.held()) {
    if (auto done = lun.reserve(claim.own, our_type, limit); !done) {
      HOLDFAST_TRY(bool ours, holds(lun, claim.own, limit));
      if (!ours) return done;
    }
    reset = true;  // whoever held it before may have commands in flight
  } else if (now.key != claim.own) {
    HOLDFAST_CHECK(preempt(lun, claim.own, now.key, can.preempt_and_abort, limit, &reset));
  }
  // With this type every registrant may write: old registrations go too.
  std::vector<ReservationKey> others = registered.keys;
  std::sort(others.begin(), others.end());
  others.erase(std::unique(others.begin(), others.end()), others.end());
  for (auto key : others) {
    if (key == claim.own || (now.held() && key == now.key)) continue;
    HOLDFAST_CHECK(preempt(lun, claim.own, key, can.preempt_and_abort, limit, &reset));
  }
  if (reset) HOLDFAST_CHECK(lun.lun_reset(limit));
  HOLDFAST_CHECK(verify(lun, claim.own, limit));
  HOLDFAST_TRY(auto left, lun.read_keys(limit));
  for (auto key : left.keys)
    if (key != claim.own)
      return fail(ErrorCode::conflict, "after the take-over the disk is still registered by " +
                                           describe_key(key, claim.own.tag()));
  return {};
}

// After a failure: a registrant may write, and a disk that is not ours is none of our business. One that is
// ours stays reserved; a disk that does not answer is left as it is. Only the first path was registered then,
// unless it is ours.
void withdraw(scsi::Lun& lun, ReservationKey own, Duration limit) {
  if (!ensure_open(lun, limit)) return;
  auto now = lun.read_reservation(limit);
  if (now && now->key != own) (void)lun.register_key(own, ReservationKey{}, limit);
}

// What /sys says about a path may be older than what is behind it.
Status confirm_identity(const scsi::Capabilities& can, const std::string& identity) {
  if (!identity.starts_with("naa.") && !identity.starts_with("eui.")) return {};
  for (const auto& told : can.identities)
    if (strcasecmp(told.c_str(), identity.c_str()) == 0) return {};
  return fail(ErrorCode::foreign, "the disk was expected to be " + identity + " but says that it is " +
                                      (can.identities.empty() ? "nobody" : can.identities.front()));
}

}  // namespace

std::string describe_key(ReservationKey key, uint16_t tag) {
  if (key.tag() != tag) return "a key that is not of this cluster (" + to_string(key) + ")";
  return "node " + std::to_string(key.node().value) + ", ownership generation " +
         std::to_string(key.counter()) + " (key " + to_string(key) + ")";
}

Status verify(scsi::Lun& lun, ReservationKey own, Duration limit) {
  HOLDFAST_CHECK(ensure_open(lun, limit));
  HOLDFAST_TRY(auto now, lun.read_reservation(limit));
  if (now.key == own && now.type == our_type) return {};
  if (!now.held()) return fail(ErrorCode::conflict, "the reservation of the disk is gone: nobody holds it");
  return fail(ErrorCode::conflict,
              "the reservation of the disk was lost to " + describe_key(now.key, own.tag()));
}

Status acquire(Luns& luns, const Claim& claim) {
  scsi::Lun& first = *luns.front();
  HOLDFAST_CHECK(ensure_open(first, claim.command_limit));
  HOLDFAST_TRY(auto can, first.capabilities(claim.command_limit));
  if (!can.persistent_reservations || !can.supports(our_type))
    return fail(ErrorCode::unsupported,
                "the disk has no persistent reservations of type 5 (" + can.vendor + " " + can.product + ")");
  HOLDFAST_CHECK(confirm_identity(can, claim.identity));
  Status taken = take(first, claim, can);
  for (size_t i = 1; taken && i < luns.size(); ++i) {
    taken = ensure_open(*luns[i], claim.command_limit);
    if (taken) taken = luns[i]->register_ignore(claim.own, claim.command_limit);
  }
  if (!taken) withdraw(first, claim.own, claim.command_limit);
  return taken;
}

}  // namespace holdfast::disk
