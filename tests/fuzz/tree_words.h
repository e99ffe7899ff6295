// Words of the cluster database, so that inputs name things that exist: a byte chooses one of them, or a text
// of its own.
#pragma once

#include <iterator>
#include <string>

#include "input.h"
#include "proto/api.pb.h"
#include "proto/tree.pb.h"

namespace holdfast::fuzz {

inline constexpr const char* words[] = {"",
                                        "n1",
                                        "n2",
                                        "n3",
                                        "n4",
                                        "web",
                                        "db",
                                        "g3",
                                        "WEB",
                                        "disk",
                                        "fs",
                                        "ip",
                                        "dbd",
                                        "r1",
                                        "r2",
                                        "Disk",
                                        "a/b",
                                        "0",
                                        "1",
                                        "2",
                                        "-1",
                                        "300",
                                        "1000",
                                        "4294967295",
                                        "n1,n3",
                                        "n2",
                                        "disk,fs",
                                        "lan=192.0.2.77",
                                        "/srv",
                                        "none",
                                        "192.0.2.9",
                                        "group:web",
                                        "resource:ip",
                                        "cluster",
                                        "nodes/1",
                                        "nodes/2",
                                        "groups/web",
                                        "resources/ip",
                                        "resources/disk/Parameters",
                                        "nodes",
                                        "groups",
                                        "revoked",
                                        "types",
                                        "Owner",
                                        "Generation",
                                        "State",
                                        "Stopping",
                                        "MoveTo",
                                        "Group",
                                        "Type",
                                        "Name",
                                        "Addresses",
                                        "Port",
                                        "Fingerprint",
                                        "Drain",
                                        "Maintenance",
                                        "Dependencies",
                                        "PossibleOwners",
                                        "PreferredOwners",
                                        "PersistentState",
                                        "RestartAction",
                                        "HeartbeatIntervalMs",
                                        "HeartbeatTimeoutMs",
                                        "LeaseMarginMs",
                                        "QuorumStallMaxMs",
                                        "FailoverThreshold",
                                        "FailbackWindowStart",
                                        "Address",
                                        "MountPoint",
                                        "CommandLine",
                                        "Device",
                                        "physical-disk",
                                        "filesystem",
                                        "ip-address",
                                        "generic-program",
                                        "mine",
                                        "Structure",
                                        "NextNode",
                                        "FunctionalLevel",
                                        "Shutdown",
                                        "QuorumMoveTo",
                                        "KeyOffset",
                                        "GenerationFloor",
                                        "FailoverRequested",
                                        "StateGeneration",
                                        "Published",
                                        "PreviousOwner",
                                        "PendingTimeout",
                                        "Failed",
                                        "FailedSince",
                                        "RetryPeriodOnFailure",
                                        "MonitorSilenceMs"};

// The number of `word`, for seeds. A word that is not there: 255, followed by Recipe::text.
inline uint8_t word_number(std::string_view word) {
  for (size_t i = 0; i < std::size(words); ++i)
    if (word == words[i]) return static_cast<uint8_t>(i);
  return 255;
}

inline std::string word(Input& in) {
  const uint8_t number = in.byte();
  if (number < std::size(words)) return words[number];
  return in.text();
}

// As messages carry them: bytes that are no UTF-8 never get past the parser of a message.
inline std::string message_text(Input& in) {
  std::string out = word(in);
  for (char& c : out) c = static_cast<char>(c & 0x7f);
  return out;
}

inline void fill_property(Input& in, api::Property* property) {
  property->set_name(message_text(in));
  const uint8_t kind = in.byte();
  if (kind & 1) {
    property->set_is_list(true);
    for (uint64_t items = in.below(4); items > 0; --items) property->add_list(message_text(in));
  } else {
    property->set_value(message_text(in));
  }
  property->set_unset((kind & 14) == 14);
}

inline void fill_command(Input& in, api::Command* command) {
  static constexpr int verbs[] = {0,  1,  2,  3,  4,  10, 11, 12, 13, 14, 20, 21, 22,
                                  23, 24, 25, 40, 41, 42, 43, 44, 45, 46, 60, 61};
  command->set_verb(static_cast<api::Command::Verb>(verbs[in.below(std::size(verbs))]));
  command->set_object(message_text(in));
  command->set_target(message_text(in));
  const uint8_t more = in.byte();
  for (int properties = more & 3; properties > 0; --properties) fill_property(in, command->add_properties());
  command->set_force((more & 4) != 0);
  if (more & 8) command->set_wait_ms(static_cast<uint32_t>(in.any()));
}

inline void fill_value(Input& in, tree::Value* value) {
  switch (in.below(5)) {
    case 0:
      value->set_text(message_text(in));
      break;
    case 1:
      value->set_number(in.any());
      break;
    case 2:
      value->set_binary(word(in));
      break;
    case 3:
      for (uint64_t items = in.below(4); items > 0; --items)
        value->mutable_list()->add_items(message_text(in));
      value->mutable_list();
      break;
    default:
      break;
  }
}

inline void fill_transaction(Input& in, tree::Transaction* transaction) {
  for (uint64_t n = in.below(3); n > 0; --n) {
    auto* p = transaction->add_preconditions();
    p->set_kind(static_cast<tree::Precondition::Kind>(in.below(5)));
    p->set_key(message_text(in));
    p->set_name(message_text(in));
    p->set_sequence(in.any());
    if (in.flag()) fill_value(in, p->mutable_value());
  }
  for (uint64_t n = in.below(5); n > 0; --n) {
    auto* c = transaction->add_changes();
    c->set_kind(static_cast<tree::Change::Kind>(in.below(5)));
    std::string key = message_text(in);
    if (in.flag()) key += "/" + message_text(in);
    c->set_key(key);
    c->set_name(message_text(in));
    fill_value(in, c->mutable_value());
  }
}

}  // namespace holdfast::fuzz
