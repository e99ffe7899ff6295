#include "adapters/transport/datagram.h"

#include "base/assert.h"
#include "base/bytes.h"

namespace holdfast::transport {
namespace {

constexpr uint8_t magic[4] = {'H', 'F', 'h', 'b'};
constexpr int nonce_size = 12;

void fill_nonce(uint64_t counter, uint8_t (&nonce)[nonce_size]) {
  memset(nonce, 0, 4);  // each direction of each session has a key of its own, so the counter alone is unique
  put_be(nonce + 4, counter, 8);
}

}  // namespace

DatagramHeaderBytes encode_datagram_header(const DatagramHeader& header) {
  DatagramHeaderBytes out;
  memcpy(out.data(), magic, sizeof magic);
  out[4] = datagram_version;
  out[5] = header.network;
  put_le(out.data() + 6, header.cluster_tag, 2);
  out[8] = static_cast<uint8_t>(header.from.value);
  out[9] = static_cast<uint8_t>(header.to.value);
  put_le(out.data() + 10, 0, 2);
  put_le(out.data() + 12, header.key_id, 4);
  put_le(out.data() + 16, header.counter, 8);
  return out;
}

DatagramCheck decode_datagram_header(const uint8_t* p, size_t size, DatagramHeader& header) {
  if (size < datagram_header_size + datagram_tag_size || memcmp(p, magic, sizeof magic) != 0)
    return DatagramCheck::malformed;
  if (p[4] != datagram_version) return DatagramCheck::version;
  header.network = p[5];
  header.cluster_tag = static_cast<uint16_t>(get_le(p + 6, 2));
  header.from = NodeId{p[8]};
  header.to = NodeId{p[9]};
  header.key_id = static_cast<uint32_t>(get_le(p + 12, 4));
  header.counter = get_le(p + 16, 8);
  bool sound = get_le(p + 10, 2) == 0 && header.from.value >= 1 && header.from.value <= nodes_max &&
               header.network < networks_max && header.counter != 0;
  return sound ? DatagramCheck::ok : DatagramCheck::malformed;
}

bool ReplayWindow::is_new(uint64_t counter) const {
  if (counter > top_) return true;
  return top_ - counter < size && !seen_[counter % size];
}

void ReplayWindow::mark(uint64_t counter) {
  if (counter > top_) {
    if (counter - top_ >= size) {
      seen_.reset();
    } else {
      for (uint64_t gap = top_ + 1; gap < counter; ++gap) seen_[gap % size] = false;
    }
    top_ = counter;
  }
  seen_[counter % size] = true;
}

SealKey::SealKey(const uint8_t (&key)[32], uint32_t id, bool sealing)
    : cipher_(EVP_CIPHER_CTX_new()), id_(id) {
  HOLDFAST_ASSERT(cipher_ && EVP_CipherInit_ex(cipher_.get(), EVP_aes_256_gcm(), nullptr, key, nullptr,
                                               sealing ? 1 : 0) == 1);
}

void SealKey::seal(DatagramHeader header, std::string_view payload, std::string& out) {
  header.key_id = id_;
  header.counter = ++counter_;
  DatagramHeaderBytes front = encode_datagram_header(header);
  uint8_t nonce[nonce_size];
  fill_nonce(header.counter, nonce);
  size_t start = out.size();
  out.resize(start + front.size() + payload.size() + datagram_tag_size);
  uint8_t* to = as_u8(out) + start;
  memcpy(to, front.data(), front.size());
  to += front.size();
  int n = 0;
  bool ok =
      EVP_EncryptInit_ex(cipher_.get(), nullptr, nullptr, nullptr, nonce) == 1 &&
      EVP_EncryptUpdate(cipher_.get(), nullptr, &n, front.data(), static_cast<int>(front.size())) == 1 &&
      EVP_EncryptUpdate(cipher_.get(), to, &n, reinterpret_cast<const uint8_t*>(payload.data()),
                        static_cast<int>(payload.size())) == 1 &&
      EVP_EncryptFinal_ex(cipher_.get(), to + payload.size(), &n) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_AEAD_GET_TAG, datagram_tag_size, to + payload.size()) == 1;
  HOLDFAST_ASSERT(ok);  // AES-GCM on valid lengths cannot fail; sending unsealed bytes would be worse
}

bool SealKey::open(const uint8_t* datagram, size_t size, uint64_t counter, std::string& payload) {
  uint8_t nonce[nonce_size];
  fill_nonce(counter, nonce);
  size_t body = size - datagram_header_size - datagram_tag_size;
  payload.resize(body);
  uint8_t tag[datagram_tag_size];
  memcpy(tag, datagram + size - datagram_tag_size, sizeof tag);
  int n = 0;
  uint8_t none[16];
  return EVP_DecryptInit_ex(cipher_.get(), nullptr, nullptr, nullptr, nonce) == 1 &&
         EVP_DecryptUpdate(cipher_.get(), nullptr, &n, datagram, datagram_header_size) == 1 &&
         EVP_DecryptUpdate(cipher_.get(), as_u8(payload), &n, datagram + datagram_header_size,
                           static_cast<int>(body)) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
         EVP_DecryptFinal_ex(cipher_.get(), none, &n) == 1;
}

}  // namespace holdfast::transport
