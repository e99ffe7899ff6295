#include <arpa/inet.h>

#include <charconv>

#include "iscsi/lun.h"

namespace holdfast::scsi {
namespace {

constexpr std::string_view iscsi_scheme = "iscsi://";

bool is_numeric_address(const std::string& host, bool bracketed) {
  in6_addr six{};
  in_addr four{};
  if (host.find('\0') != std::string::npos) return false;  // the C library would stop reading there
  return bracketed ? inet_pton(AF_INET6, host.c_str(), &six) == 1
                   : inet_pton(AF_INET, host.c_str(), &four) == 1;
}

template <typename T>
bool read_number(std::string_view text, T& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

// "HOST", "HOST:PORT", "[HOST]" or "[HOST]:PORT".
bool read_portal(std::string_view text, Attachment& out) {
  bool bracketed = text.starts_with('[');
  size_t host_end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && host_end == std::string_view::npos) return false;
  if (!bracketed && host_end == std::string_view::npos) host_end = text.size();
  out.host = std::string(text.substr(bracketed ? 1 : 0, bracketed ? host_end - 1 : host_end));
  std::string_view rest = text.substr(bracketed ? host_end + 1 : host_end);
  if (!rest.empty() && (rest[0] != ':' || !read_number(rest.substr(1), out.port) || out.port == 0))
    return false;
  return is_numeric_address(out.host, bracketed);
}

tl::unexpected<Error> malformed(const char* why) {
  return fail(
      ErrorCode::invalid_argument, std::string("The LUN address is not usable: ") + why, 0,
      "write iscsi://[user%password@]ADDRESS:PORT/IQN/LUN with a numeric address, or /dev/disk/by-id/NAME");
}

Result<Attachment> parse_iscsi(std::string_view rest) {
  Attachment out;
  out.kind = Attachment::Kind::iscsi;
  size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return malformed("the target name is missing");
  std::string_view authority = rest.substr(0, slash);
  // The address cannot contain '@', a password can.
  if (size_t at = authority.rfind('@'); at != std::string_view::npos) {
    std::string_view login = authority.substr(0, at);
    size_t percent = login.find('%');
    if (percent == std::string_view::npos || percent == 0) return malformed("the login is not user%password");
    out.user = std::string(login.substr(0, percent));
    out.password = std::string(login.substr(percent + 1));
    authority.remove_prefix(at + 1);
  }
  if (!read_portal(authority, out)) return malformed("the portal is not a numeric address with a port");
  std::string_view path = rest.substr(slash + 1);
  size_t last = path.rfind('/');
  if (last == std::string_view::npos || last == 0) return malformed("target name or LUN number is missing");
  out.target = std::string(path.substr(0, last));
  if (out.target.size() > 223)
    return malformed("the target name is longer than 223 bytes");  // RFC 7143, 4.2.7.1
  // 14 bits: what the flat addressing of SAM can name.
  if (!read_number(path.substr(last + 1), out.lun) || out.lun > 0x3fff)
    return malformed("the LUN is not 0 to 16383");
  return out;
}

}  // namespace

Result<Attachment> Attachment::parse(std::string_view text) {
  if (text.starts_with(iscsi_scheme)) return parse_iscsi(text.substr(iscsi_scheme.size()));
  if (text.starts_with("/dev/")) {
    Attachment out;
    out.kind = Kind::block_device;
    out.device = std::string(text);
    return out;
  }
  return malformed("it is neither an iscsi:// address nor a /dev/ path");
}

std::string Attachment::text() const {
  if (kind == Kind::block_device) return device;
  if (kind == Kind::none) return "(none)";
  bool six = host.find(':') != std::string::npos;
  return std::string(iscsi_scheme) + (six ? "[" + host + "]" : host) + ":" + std::to_string(port) + "/" +
         target + "/" + std::to_string(lun);
}

std::string_view to_string(ReservationType type) {
  switch (type) {
    case ReservationType::none:
      return "none";
    case ReservationType::write_exclusive:
      return "write exclusive";
    case ReservationType::exclusive_access:
      return "exclusive access";
    case ReservationType::write_exclusive_registrants_only:
      return "write exclusive, registrants only";
    case ReservationType::exclusive_access_registrants_only:
      return "exclusive access, registrants only";
    case ReservationType::write_exclusive_all_registrants:
      return "write exclusive, all registrants";
    case ReservationType::exclusive_access_all_registrants:
      return "exclusive access, all registrants";
  }
  return "unknown";
}

}  // namespace holdfast::scsi
