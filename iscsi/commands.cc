#include "iscsi/commands.h"

#include "base/bytes.h"

namespace holdfast::scsi {
namespace {

enum Operation : uint8_t {
  inquiry = 0x12,
  mode_sense_6 = 0x1a,
  synchronize_cache_10 = 0x35,
  persistent_reserve_in = 0x5e,
  persistent_reserve_out = 0x5f,
  read_16 = 0x88,
  write_16 = 0x8a,
  service_action_in_16 = 0x9e,
};

Command make(const char* name, uint8_t operation, size_t cdb_size) {
  Command c;
  c.name = name;
  c.cdb[0] = operation;
  c.cdb_size = cdb_size;
  return c;
}

void receive(Command& c, std::vector<uint8_t>& answer) {
  c.direction = Direction::in;
  c.data = answer.data();
  c.size = answer.size();
}

}  // namespace

Command test_unit_ready_command() {
  return make("TEST UNIT READY", 0, 6);
}

Command inquiry_command(std::vector<uint8_t>& answer) {
  answer.assign(96, 0);
  Command c = make("INQUIRY", inquiry, 6);
  put_be(&c.cdb[3], answer.size(), 2);
  receive(c, answer);
  return c;
}

Command vital_page_command(uint8_t page, std::vector<uint8_t>& answer) {
  answer.assign(1024, 0);
  Command c = make("INQUIRY (vital product data)", inquiry, 6);
  c.cdb[1] = 1;  // EVPD
  c.cdb[2] = page;
  put_be(&c.cdb[3], answer.size(), 2);
  receive(c, answer);
  return c;
}

Command read_capacity_command(std::vector<uint8_t>& answer) {
  answer.assign(32, 0);
  Command c = make("READ CAPACITY(16)", service_action_in_16, 16);
  c.cdb[1] = 0x10;
  put_be(&c.cdb[10], answer.size(), 4);
  receive(c, answer);
  return c;
}

Command caching_page_command(std::vector<uint8_t>& answer) {
  answer.assign(192, 0);
  Command c = make("MODE SENSE(6)", mode_sense_6, 6);
  c.cdb[2] = 0x08;  // current values of the caching page
  c.cdb[4] = static_cast<uint8_t>(answer.size());
  receive(c, answer);
  return c;
}

Command synchronize_cache_command() {
  return make("SYNCHRONIZE CACHE(10)", synchronize_cache_10, 10);
}

Command read_command(uint64_t block, uint32_t count, void* buffer, size_t size) {
  Command c = make("READ(16)", read_16, 16);
  put_be(&c.cdb[2], block, 8);
  put_be(&c.cdb[10], count, 4);
  c.direction = Direction::in;
  c.data = buffer;
  c.size = size;
  return c;
}

Command write_command(uint64_t block, uint32_t count, const void* buffer, size_t size,
                      bool force_unit_access) {
  Command c = make("WRITE(16)", write_16, 16);
  c.cdb[1] = force_unit_access ? 0x08 : 0;
  put_be(&c.cdb[2], block, 8);
  put_be(&c.cdb[10], count, 4);
  c.direction = Direction::out;
  c.data = const_cast<void*>(buffer);
  c.size = size;
  return c;
}

Command reserve_in_command(ReserveIn action, std::vector<uint8_t>& answer) {
  static constexpr const char* names[] = {"READ KEYS", "READ RESERVATION", "REPORT CAPABILITIES",
                                          "READ FULL STATUS"};
  Command c = make(names[static_cast<int>(action)], persistent_reserve_in, 10);
  c.cdb[1] = static_cast<uint8_t>(action);
  put_be(&c.cdb[7], answer.size(), 2);
  receive(c, answer);
  return c;
}

Command reserve_out_command(ReserveOut action, const ReserveOutParameters& parameters,
                            std::vector<uint8_t>& list) {
  static constexpr const char* names[] = {"REGISTER",
                                          "RESERVE",
                                          "RELEASE",
                                          "CLEAR",
                                          "PREEMPT",
                                          "PREEMPT AND ABORT",
                                          "REGISTER AND IGNORE EXISTING KEY"};
  list.assign(reserve_out_bytes, 0);
  put_be(&list[0], parameters.key.value, 8);
  put_be(&list[8], parameters.action_key.value, 8);
  list[20] = parameters.persist ? 1 : 0;
  Command c = make(names[static_cast<int>(action)], persistent_reserve_out, 10);
  c.cdb[1] = static_cast<uint8_t>(action);
  c.cdb[2] = static_cast<uint8_t>(parameters.type);  // scope 0: the whole logical unit
  put_be(&c.cdb[5], list.size(), 4);
  c.direction = Direction::out;
  c.data = list.data();
  c.size = list.size();
  return c;
}

}  // namespace holdfast::scsi
