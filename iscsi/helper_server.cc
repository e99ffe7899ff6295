// The helper's side: takes one call, runs it, answers.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "iscsi/helper_messages.h"

namespace holdfast::scsi {
namespace {

bool send_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

bool receive_all(int fd, char* data, size_t size) {
  while (size > 0) {
    ssize_t got = recv(fd, data, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    data += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

struct Answer {
  FrameWriter values;
  Error error;
  bool ok = false;

  void take(const Status& result) {
    ok = result.has_value();
    if (!ok) error = result.error();
  }
  template <typename T, typename F>
  void take(const Result<T>& result, F write) {
    ok = result.has_value();
    if (ok)
      write(*result);
    else
      error = result.error();
  }
};

void answer_reading(HelperCall call, Lun& lun, Duration limit, Answer& out) {
  FrameWriter& w = out.values;
  if (call == HelperCall::capabilities) {
    out.take(lun.capabilities(limit), [&](const Capabilities& c) { put(w, c); });
  } else if (call == HelperCall::read_keys) {
    out.take(lun.read_keys(limit), [&](const RegisteredKeys& k) {
      w.number(k.generation).number(k.keys.size());
      for (ReservationKey key : k.keys) w.number(key.value);
    });
  } else if (call == HelperCall::read_reservation) {
    out.take(lun.read_reservation(limit), [&](const Reservation& r) {
      w.number(r.key.value).number(static_cast<uint64_t>(r.type)).number(r.generation);
    });
  } else {
    out.take(lun.read_full_status(limit), [&](const std::vector<FullStatusEntry>& all) {
      w.number(all.size());
      for (const FullStatusEntry& e : all)
        w.number(e.key.value)
            .number(e.holder)
            .number(static_cast<uint64_t>(e.type))
            .number(e.relative_port)
            .text(e.transport_id);
    });
  }
}

// The four numbers are used as the call needs them: keys, type, abort; or offset and size.
void answer(HelperCall call, FrameReader& in, Lun& lun, Answer& out) {
  Duration limit{static_cast<int64_t>(in.number())};
  uint64_t n[4];
  for (uint64_t& value : n) value = in.number();
  ReservationKey first{n[0]}, second{n[1]};
  auto type = static_cast<ReservationType>(n[2]);
  switch (call) {
    case HelperCall::open:
      return out.take(lun.open(limit));
    case HelperCall::close:
      lun.close();
      return out.take(Status{});
    case HelperCall::test_unit_ready:
      return out.take(lun.test_unit_ready(limit));
    case HelperCall::register_key:
      return out.take(lun.register_key(first, second, limit));
    case HelperCall::register_ignore:
      return out.take(lun.register_ignore(second, limit));
    case HelperCall::reserve:
      return out.take(lun.reserve(first, type, limit));
    case HelperCall::release:
      return out.take(lun.release(first, type, limit));
    case HelperCall::clear:
      return out.take(lun.clear(first, limit));
    case HelperCall::preempt:
      return out.take(lun.preempt(first, second, type, n[3] != 0, limit));
    case HelperCall::lun_reset:
      return out.take(lun.lun_reset(limit));
    case HelperCall::read: {
      std::string data(n[1], '\0');
      out.take(lun.read(n[0], data.data(), data.size(), limit));
      if (out.ok) out.values.text(data);
      return;
    }
    case HelperCall::write: {
      std::string_view data = in.text();
      return out.take(lun.write(n[0], data.data(), data.size(), limit));
    }
    default:
      return answer_reading(call, lun, limit, out);
  }
}

}  // namespace

bool send_frame(int fd, const std::string& frame) {
  uint8_t size[8];
  put_le(size, frame.size(), 8);
  return send_all(fd, reinterpret_cast<char*>(size), sizeof size) && send_all(fd, frame.data(), frame.size());
}

bool receive_frame(int fd, std::string& frame) {
  uint8_t size[8];
  if (!receive_all(fd, reinterpret_cast<char*>(size), sizeof size)) return false;
  frame.resize(get_le(size, 8));
  return receive_all(fd, frame.data(), frame.size());
}

void serve_helper(int fd, Lun& lun) {
  std::string frame;
  while (receive_frame(fd, frame)) {
    FrameReader in(frame);
    auto call = static_cast<HelperCall>(in.number());
    Answer out;
    answer(call, in, lun, out);
    FrameWriter reply;
    reply.number(out.ok ? 1 : 0).number(lun.is_open() ? 1 : 0).number(lun.size_bytes());
    reply.number(lun.unit_attention_count());
    if (out.ok)
      reply.text(out.values.take());
    else
      put(reply, out.error);
    if (!send_frame(fd, reply.take())) return;
  }
}

}  // namespace holdfast::scsi
