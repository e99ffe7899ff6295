// Decoders of commands.h. Bytes from a target are never trusted: every length is checked against what was
// received.
#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
#include "iscsi/commands.h"

namespace holdfast::scsi {
namespace {

constexpr size_t reserve_in_header_bytes = 8;

std::string printable(const uint8_t* bytes, size_t size) {
  std::string out;
  for (size_t i = 0; i < size && bytes[i] != 0; ++i)
    out += bytes[i] >= 0x20 && bytes[i] < 0x7f ? static_cast<char>(bytes[i]) : '.';
  size_t end = out.find_last_not_of(' ');
  out.resize(end == std::string::npos ? 0 : end + 1);
  size_t begin = out.find_first_not_of(' ');
  return begin == std::string::npos ? std::string() : out.substr(begin);
}

std::string hex(const uint8_t* bytes, size_t size) {
  std::string out;
  char digits[3];
  for (size_t i = 0; i < size; ++i) {
    snprintf(digits, sizeof digits, "%02x", bytes[i]);
    out += digits;
  }
  return out;
}

ReservationType to_type(uint8_t code) {
  return static_cast<ReservationType>(code & 0xf);
}

// TransportID (SPC-4, 7.6.4): format and protocol in byte 0; iSCSI carries its name as text.
std::string decode_transport_id(const uint8_t* id, size_t size) {
  constexpr uint8_t protocol_iscsi = 5;
  if (size < 4) return "";
  uint8_t protocol = id[0] & 0xf;
  if (protocol == protocol_iscsi) return printable(id + 4, std::min<size_t>(get_be(id + 2, 2), size - 4));
  return "protocol " + std::to_string(protocol) + ": " + hex(id, size);
}

tl::unexpected<Error> cut_short(const char* what) {
  return fail(ErrorCode::corrupt, std::string("The target cut the answer to ") + what + " short");
}

}  // namespace

size_t announced_bytes(const std::vector<uint8_t>& answer) {
  return answer.size() < reserve_in_header_bytes ? 0 : reserve_in_header_bytes + get_be(&answer[4], 4);
}

Result<RegisteredKeys> decode_keys(const std::vector<uint8_t>& answer) {
  if (answer.size() < reserve_in_header_bytes || announced_bytes(answer) > answer.size())
    return cut_short("READ KEYS");
  RegisteredKeys out;
  out.generation = static_cast<uint32_t>(get_be(&answer[0], 4));
  for (size_t at = reserve_in_header_bytes; at + 8 <= announced_bytes(answer); at += 8)
    out.keys.push_back({get_be(&answer[at], 8)});
  return out;
}

Result<Reservation> decode_reservation(const std::vector<uint8_t>& answer) {
  constexpr size_t descriptor_bytes = 16;
  if (answer.size() < reserve_in_header_bytes || announced_bytes(answer) > answer.size())
    return cut_short("READ RESERVATION");
  Reservation out;
  out.generation = static_cast<uint32_t>(get_be(&answer[0], 4));
  if (announced_bytes(answer) < reserve_in_header_bytes + descriptor_bytes)
    return out;  // nothing is reserved
  out.key = {get_be(&answer[8], 8)};
  out.type = to_type(answer[21]);
  return out;
}

Result<std::vector<FullStatusEntry>> decode_full_status(const std::vector<uint8_t>& answer) {
  constexpr size_t descriptor_bytes = 24;
  if (answer.size() < reserve_in_header_bytes || announced_bytes(answer) > answer.size())
    return cut_short("READ FULL STATUS");
  std::vector<FullStatusEntry> out;
  size_t end = announced_bytes(answer);
  for (size_t at = reserve_in_header_bytes; at + descriptor_bytes <= end;) {
    const uint8_t* p = &answer[at];
    size_t id_bytes = get_be(p + 20, 4);
    if (id_bytes > end - at - descriptor_bytes) return cut_short("READ FULL STATUS");
    FullStatusEntry entry;
    entry.key = {get_be(p, 8)};
    entry.holder = (p[12] & 1) != 0;
    if (entry.holder) entry.type = to_type(p[13]);
    entry.relative_port = static_cast<uint16_t>(get_be(p + 18, 2));
    entry.transport_id = decode_transport_id(p + descriptor_bytes, id_bytes);
    out.push_back(std::move(entry));
    at += descriptor_bytes + id_bytes;
  }
  return out;
}

void decode_pr_capabilities(const std::vector<uint8_t>& answer, Capabilities& out) {
  if (answer.size() < 8) return;
  out.all_target_ports = (answer[2] & 0x04) != 0;  // ATP_C
  out.aptpl_capable = (answer[2] & 0x01) != 0;     // PTPL_C
  out.aptpl_active = (answer[3] & 0x01) != 0;      // PTPL_A
  bool types_valid = (answer[3] & 0x80) != 0;      // TMV
  if (!types_valid) return;
  out.types_mask = static_cast<uint16_t>(answer[4] & 0xea);  // bits 1 3 5 6 7 are the type codes themselves
  if ((answer[5] & 0x01) != 0) out.types_mask |= 1 << 8;
}

void decode_inquiry(const std::vector<uint8_t>& answer, Capabilities& out) {
  if (answer.size() < 36) return;
  out.vendor = printable(&answer[8], 8);
  out.product = printable(&answer[16], 16);
  out.revision = printable(&answer[32], 4);
}

std::vector<std::string> decode_identities(const std::vector<uint8_t>& page) {
  constexpr size_t page_header_bytes = 4, header_bytes = 4;
  std::vector<std::pair<int, std::string>> found;  // rank, text
  if (page.size() < page_header_bytes || page[1] != 0x83) return {};
  size_t end = std::min<size_t>(page.size(), page_header_bytes + get_be(&page[2], 2));
  for (size_t at = page_header_bytes; at + header_bytes <= end;) {
    const uint8_t* p = &page[at];
    size_t size = p[3];
    if (size > end - at - header_bytes) break;
    bool names_the_unit = (p[1] & 0x30) == 0;
    const uint8_t* id = p + header_bytes;
    at += header_bytes + size;
    if (!names_the_unit || size == 0) continue;
    switch (p[1] & 0xf) {
      case 3:  // the locally assigned NAA 3 is unique only within one target
        found.emplace_back((id[0] >> 4) == 3 ? 3 : 0, "naa." + hex(id, size));
        break;
      case 2:
        found.emplace_back(1, "eui." + hex(id, size));
        break;
      case 8:
        found.emplace_back(2, "scsi-name." + printable(id, size));
        break;
      case 1:
        found.emplace_back(4, "t10." + printable(id, size));
        break;
      default:
        break;
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> out;
  for (auto& [rank, text] : found) out.push_back(std::move(text));
  return out;
}

std::string decode_serial(const std::vector<uint8_t>& page) {
  if (page.size() < 4 || page[1] != 0x80) return "";
  return printable(&page[4], std::min<size_t>(page.size() - 4, get_be(&page[2], 2)));
}

}  // namespace holdfast::scsi
