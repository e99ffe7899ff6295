// Heartbeat datagrams: header, AES-256-GCM sealing, replay window. docs/protocols/transport.md, "Datagrams".
// Pure but for OpenSSL; every byte from outside is checked, none is trusted before the tag was.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace holdfast::transport {

constexpr size_t datagram_header_size = 24;
constexpr size_t datagram_tag_size = 16;
constexpr uint8_t datagram_version = 1;

struct DatagramHeader {
  uint8_t network = 0;
  uint16_t cluster_tag = 0;
  NodeId from, to;
  uint32_t key_id = 0;
  uint64_t counter = 0;  // nonce: never repeated under one key
};

using DatagramHeaderBytes = std::array<uint8_t, datagram_header_size>;
DatagramHeaderBytes encode_datagram_header(const DatagramHeader& header);

enum class DatagramCheck { ok, malformed, version };
// `size` is that of the whole datagram.
DatagramCheck decode_datagram_header(const uint8_t* bytes, size_t size, DatagramHeader& header);

// Which of the last `size` counters were seen. Datagrams of all networks share a counter, and one network may
// lag behind another: 2048 is more than 20 s of heartbeats on 8 networks.
class ReplayWindow {
 public:
  static constexpr uint64_t size = 2048;
  // Could this counter still be new?
  bool is_new(uint64_t counter) const;
  // Only after the tag was found good: a forged counter must not move the window.
  void mark(uint64_t counter);

 private:
  uint64_t top_ = 0;  // highest counter seen; counters start at 1
  std::bitset<size> seen_;
};

// One direction of one session's keys.
class SealKey {
 public:
  SealKey(const uint8_t (&key)[32], uint32_t id, bool sealing);

  // Appends header, ciphertext and tag to `out`. `header.key_id` and `.counter` are filled in.
  void seal(DatagramHeader header, std::string_view payload, std::string& out);

  // False: the tag does not match. `datagram` includes the header.
  bool open(const uint8_t* datagram, size_t size, uint64_t counter, std::string& payload);

  uint32_t id() const { return id_; }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
  };
  std::unique_ptr<EVP_CIPHER_CTX, Free> cipher_;
  uint32_t id_;
  uint64_t counter_ = 0;
};

}  // namespace holdfast::transport
