// The frames between a Lun and its helper process: little-endian fields one after the other. Both ends are
// the same program, so there is no version; lengths are checked all the same.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "iscsi/lun.h"

namespace holdfast::scsi {

enum class HelperCall : uint8_t {
  open,
  close,
  capabilities,
  test_unit_ready,
  register_key,
  register_ignore,
  reserve,
  release,
  clear,
  preempt,
  read_keys,
  read_reservation,
  read_full_status,
  lun_reset,
  read,
  write,
};

class FrameWriter {
 public:
  FrameWriter& number(uint64_t value) {
    uint8_t bytes[8];
    put_le(bytes, value, 8);
    out_.append(reinterpret_cast<char*>(bytes), sizeof bytes);
    return *this;
  }
  FrameWriter& text(std::string_view value) {
    number(value.size());
    out_.append(value);
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class FrameReader {
 public:
  explicit FrameReader(std::string_view frame) : rest_(frame) {}
  uint64_t number() {
    if (rest_.size() < 8) {
      good_ = false;
      return 0;
    }
    uint64_t value = get_le(reinterpret_cast<const uint8_t*>(rest_.data()), 8);
    rest_.remove_prefix(8);
    return value;
  }
  std::string_view text() {
    uint64_t size = number();
    if (size > rest_.size()) {
      good_ = false;
      return {};
    }
    std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  bool good() const { return good_; }

 private:
  std::string_view rest_;
  bool good_ = true;
};

inline void put(FrameWriter& out, const Error& e) {
  out.number(static_cast<uint64_t>(e.code))
      .number(static_cast<uint64_t>(e.os_errno))
      .text(e.message)
      .text(e.hint);
}
inline Error get_error(FrameReader& in) {
  Error out;
  out.code = error_code_from(in.number());
  out.os_errno = static_cast<int>(in.number());
  out.message = in.text();
  out.hint = in.text();
  return out;
}

inline void put(FrameWriter& out, const Capabilities& c) {
  out.number(c.block_size)
      .number(c.block_count)
      .text(c.vendor)
      .text(c.product)
      .text(c.revision)
      .text(c.serial);
  out.number(c.identities.size());
  for (const std::string& identity : c.identities) out.text(identity);
  for (bool flag :
       {c.dpofua, c.write_cache, c.persistent_reservations, c.preempt_and_abort, c.read_full_status,
        c.aptpl_capable, c.aptpl_active, c.all_target_ports, c.compare_and_write})
    out.number(flag ? 1 : 0);
  out.number(c.types_mask);
}
inline Capabilities get_capabilities(FrameReader& in) {
  Capabilities c;
  c.block_size = static_cast<uint32_t>(in.number());
  c.block_count = in.number();
  for (std::string* field : {&c.vendor, &c.product, &c.revision, &c.serial}) *field = in.text();
  for (uint64_t left = in.number(); left > 0 && in.good(); --left) c.identities.emplace_back(in.text());
  for (bool* flag :
       {&c.dpofua, &c.write_cache, &c.persistent_reservations, &c.preempt_and_abort, &c.read_full_status,
        &c.aptpl_capable, &c.aptpl_active, &c.all_target_ports, &c.compare_and_write})
    *flag = in.number() != 0;
  c.types_mask = static_cast<uint16_t>(in.number());
  return c;
}

// Blocking, for the helper's end: one whole frame. False at the end of the connection.
bool send_frame(int fd, const std::string& frame);
bool receive_frame(int fd, std::string& frame);

// Serves `lun` on `fd` until the other end closes. In helper_server.cc.
void serve_helper(int fd, Lun& lun);

}  // namespace holdfast::scsi
