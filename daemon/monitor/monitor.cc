#include "monitor/monitor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "base/clock.h"
#include "base/lifetimes.h"
#include "base/utf8.h"
#include "base/version.h"
#include "monitor/reaper.h"

namespace holdfast::monitor {
namespace {

constexpr Duration reap_every = Duration::seconds(5);

}  // namespace

Monitor::Monitor(int socket_fd) : socket_(socket_fd), silence_(hello_max) {
  timer_fd_ = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);  // before any thread exists, so that all inherit it
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  HOLDFAST_ASSERT(timer_fd_ >= 0 && signal_fd_ >= 0);
  last_frame_ = boottime_now();
  reap_at_ = last_frame_ + reap_every;
}

Monitor::~Monitor() = default;

int Monitor::run() {
  while (!result_) {
    Instant now = boottime_now();
    check_time(now);
    if (result_) break;
    arm_timer(next_deadline());
    wait_for_events();
  }
  return *result_;
}

void Monitor::wait_for_events() {
  std::vector<pollfd> fds;
  std::vector<std::shared_ptr<Resource>> watched;
  short events = socket_.wants_write() ? POLLIN | POLLOUT : POLLIN;
  fds.push_back({connected_ ? socket_.fd() : -1, events, 0});
  fds.push_back({timer_fd_, POLLIN, 0});
  fds.push_back({inbox_.fd(), POLLIN, 0});
  fds.push_back({signal_fd_, POLLIN, 0});
  size_t fixed = fds.size();
  for (const auto& [name, resource] : resources_)
    if (int fd = resource->event_fd(); fd >= 0) {
      fds.push_back({fd, POLLIN, 0});
      watched.push_back(resource);
    }
  if (poll(fds.data(), fds.size(), -1) < 0) return;
  Instant now = boottime_now();
  // The lease is judged before anything is begun: this process may have been stopped for long.
  if (fds[0].revents != 0) receive(now);
  check_time(now);
  if (fds[1].revents != 0) {
    uint64_t ticks;
    (void)!read(timer_fd_, &ticks, sizeof ticks);
  }
  if (fds[3].revents != 0) {
    signalfd_siginfo info;
    if (read(signal_fd_, &info, sizeof info) == sizeof info)
      begin_ending(exit_signal,
                   "The monitor was told to end by signal " + std::to_string(info.ssi_signo) + ".", now);
  }
  for (size_t i = fixed; i < fds.size(); ++i)
    if (fds[i].revents != 0 && watched[i - fixed]->event_fd() == fds[i].fd)
      watched[i - fixed]->event_fired(now);
  if (fds[2].revents != 0) inbox_.run_all();
  if (connected_ && fds[0].revents & POLLOUT) (void)socket_.flush();
}

void Monitor::receive(Instant now) {
  Status received = socket_.receive();
  while (true) {
    auto frame = socket_.next();
    if (!frame) return begin_ending(exit_protocol, frame.error().text(), now);
    if (!*frame) break;
    ToMonitor message;
    if (!message.ParseFromString(**frame))
      return begin_ending(exit_protocol, "The service sent a frame that is no message.", now);
    last_frame_ = now;
    handle(message, now);
    if (result_) return;
  }
  if (received) return;
  connected_ = false;
  begin_ending(exit_socket_closed, "The service is gone (" + received.error().text() + ").", now);
}

void Monitor::handle(const ToMonitor& message, Instant now) {
  if (message.has_hello()) return hello(message.hello(), now);
  if (!around_) return begin_ending(exit_protocol, "The service did not begin with Hello.", now);
  if (message.has_grant()) return grant(message.grant(), now);
  if (message.has_order()) return order(message.order(), now);
  if (message.shutdown()) begin_ending(exit_orderly, "The monitor was shut down.", now);
}

void Monitor::hello(const Hello& hello, Instant now) {
  FromMonitor out;
  auto* reply = out.mutable_hello();
  reply->set_pid(static_cast<uint32_t>(getpid()));
  uint32_t version = common_version(hello.version_min(), hello.version_max());
  reply->set_version(version);
  auto refuse = [&](const std::string& why) {
    reply->set_version(0);
    reply->set_text(to_utf8(why));
    send(out);
    begin_ending(exit_protocol, why, now);
  };
  if (version == 0)
    return refuse("This monitor is " + version_text() +
                  " and has no protocol version in common with the service.");
  if (around_) return refuse("There was a Hello already.");
  std::string directory = hello.state_dir().empty() ? "/run/holdfast" : hello.state_dir();
  mkdir(directory.c_str(), 0700);
  std::string lock = directory + "/monitor.lock";
  // Held until this process and every helper of it that is stuck have ended: the next service waits for it.
  lock_fd_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return refuse("Cannot open " + lock + ": " + strerror(errno) + ".");
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) != 0)
    return refuse("Another monitor still holds " + lock + ": wait until it has ended its resources.");
  identity_ = {hello.cluster_id(), hello.cluster_name(), hello.node_name(), hello.node_id()};
  silence_ = hello.silence_ms() == 0 ? monitor_silence_default : Duration::milliseconds(hello.silence_ms());
  ledger_ = std::make_unique<Ledger>(directory + "/resources.json");
  plugins_ = std::make_unique<PluginTable>(
      std::vector<std::string>(hello.plugin_dirs().begin(), hello.plugin_dirs().end()));
  around_.reset(new Surroundings{inbox_, lease_, *ledger_, identity_,
                                 [this](const Report& r) {
                                   FromMonitor message;
                                   *message.mutable_report() = r;
                                   send(message);
                                 },
                                 [this](uint32_t priority, const std::string& resource,
                                        const std::string& text) { log(priority, resource, text); }});
  for (auto& type : plugins_->types()) reply->add_types(to_utf8(type));
  reply->set_text(version_text());
  send(out);
}

void Monitor::grant(const Grant& grant, Instant now) {
  if (!lease_.renew({static_cast<int64_t>(grant.lease_until_boottime_ns())}) || !lease_.valid(now) || ending_)
    return;
  if (lapsed_)
    for (auto& [name, resource] : resources_) resource->lease_renewed(now);
  lapsed_ = false;
}

void Monitor::refuse(const Order& order, uint32_t error, const std::string& why) {
  FromMonitor out;
  auto* report = out.mutable_report();
  report->set_resource(order.resource());
  report->set_order(order.order());
  report->set_state(State::OFFLINE);
  report->set_error(error);
  report->set_message(to_utf8(why, text_bytes_max));
  report->set_generation(order.generation());
  send(out);
}

void Monitor::order(const Order& order, Instant now) {
  if (ending_) return refuse(order, static_cast<uint32_t>(ErrorCode::cancelled), "The monitor is ending.");
  if (auto it = loading_.find(order.resource()); it != loading_.end()) return it->second.push_back(order);
  auto it = resources_.find(order.resource());
  if (order.action() == Order::OPEN) {
    if (it != resources_.end() && it->second->type() != order.type())
      return refuse(order, static_cast<uint32_t>(ErrorCode::already_exists),
                    "The resource is open with type '" + it->second->type() + "': close it first.");
    if (it == resources_.end()) {
      const Plugin* plugin = plugins_->loaded(order.type());
      if (plugin == nullptr) {
        loading_[order.resource()] = {order};
        return load(order.resource(), order.type());
      }
      auto fresh = std::make_shared<Resource>(*around_, order.resource(), order.type(), *plugin);
      it = resources_.emplace(order.resource(), std::move(fresh)).first;
    }
  }
  if (it == resources_.end()) {
    // What is not open is offline: orders that end it are done.
    bool ends = order.action() == Order::OFFLINE || order.action() == Order::TERMINATE ||
                order.action() == Order::CLOSE;
    return refuse(order, ends ? 0 : static_cast<uint32_t>(ErrorCode::not_found),
                  "The resource is not open in this monitor.");
  }
  it->second->order(order, now);
}

void Monitor::load(const std::string& resource, const std::string& type) {
  if (!loader_) loader_ = std::make_unique<Lane>("loader", false);
  loader_->post([this, resource, type] {
    auto plugin = plugins_->find(type);
    inbox_.post([this, resource, plugin] {
      std::vector<Order> orders = std::move(loading_[resource]);
      loading_.erase(resource);
      for (const auto& o : orders) {
        // Only the OPEN that asked for it is answered with the error; the others find no open resource.
        if (!plugin && o.action() == Order::OPEN) {
          refuse(o, static_cast<uint32_t>(plugin.error().code), plugin.error().text());
        } else {
          order(o, boottime_now());
        }
      }
    });
  });
}

void Monitor::check_time(Instant now) {
  if (!lapsed_ && !lease_.valid(now)) {
    lapsed_ = true;
    for (auto& [name, resource] : resources_) resource->lease_lapsed(now);
  }
  if (!ending_ && now >= last_frame_ + silence_)
    begin_ending(exit_silence,
                 "The service was silent for " + std::to_string((now - last_frame_).ms()) + " ms.", now);
  for (auto& [name, resource] : resources_) resource->tick(now);
  std::erase_if(resources_, [](const auto& item) { return item.second->closed(); });
  if (now >= reap_at_) {
    reap_at_ = now + reap_every;
    reap_strays(now);
  }
  if (ending_) pump_ending(now);
}

void Monitor::begin_ending(Exit status, const std::string& why, Instant now) {
  // A service that disappears during an orderly shutdown makes it urgent.
  if (ending_ && !(ending_->status == exit_orderly && status != exit_orderly)) return;
  ending_ = Ending{status, why, now, now, ""};
  if (status != exit_orderly) log(4, "", why + " Terminating all resources.");
  pump_ending(now);
}

void Monitor::pump_ending(Instant now) {
  const bool orderly = ending_->status == exit_orderly;
  const EndingLimits& limits = orderly ? ending_orderly : ending_lost;
  std::vector<std::shared_ptr<Resource>> left;
  for (auto& [name, resource] : resources_)
    if (!resource->ended()) left.push_back(resource);
  std::sort(left.begin(), left.end(),
            [](auto& a, auto& b) { return a->online_number() > b->online_number(); });
  if (left.empty() || now >= ending_->started + limits.end) {
    bool all = left.empty();
    for (auto& [name, resource] : resources_) all = all && !resource->incomplete();
    if (orderly && left.empty()) {
      FromMonitor out;
      out.set_all_terminated(true);
      send(out);
      // The answer matters more than a quick end; a service that does not read it is gone anyway.
      for (int i = 0; i < 100 && connected_ && socket_.wants_write(); ++i) {
        pollfd p{socket_.fd(), POLLOUT, 0};
        poll(&p, 1, 10);
        if (!socket_.flush()) break;
      }
    }
    result_ = all ? ending_->status : exit_incomplete;
    return;
  }
  if (now >= ending_->started + limits.ladder) {
    for (auto& resource : left) resource->end(ending_->why, now);
    return;
  }
  if (ending_->stage != left.front()->name()) {
    ending_->stage = left.front()->name();
    ending_->stage_started = now;
    left.front()->end(ending_->why, now);
    return;
  }
  // The one that was begun does not end: go on with the next beside it, one more for each stage that passes.
  int64_t stages = (now - ending_->stage_started).ns / limits.stage.ns;
  for (int64_t i = 0; i <= stages && i < static_cast<int64_t>(left.size()); ++i)
    left[static_cast<size_t>(i)]->end(ending_->why, now);
}

Instant Monitor::next_deadline() const {
  Instant at = std::min(reap_at_, ending_ ? Instant::infinite() : last_frame_ + silence_);
  if (!lapsed_) at = std::min(at, lease_.until());
  for (const auto& [name, resource] : resources_) at = std::min(at, resource->next_deadline());
  // Stages are few: a look every 20 ms while ending is simpler than a timer for each.
  if (ending_) at = std::min(at, boottime_now() + Duration::milliseconds(20));
  return at;
}

void Monitor::arm_timer(Instant at) {
  itimerspec spec{};
  int64_t ns = std::max<int64_t>(at.ns, 1);
  spec.it_value = {ns / 1'000'000'000, ns % 1'000'000'000};
  timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Monitor::send(const FromMonitor& message) {
  if (!connected_) return;
  if (!socket_.send(message.SerializeAsString())) {
    // The read side will notice; what is not read yet is still worth reading.
  }
}

void Monitor::log(uint32_t priority, const std::string& resource, const std::string& text) {
  if (!connected_) {
    dprintf(2, "holdfast-monitor: %s%s%s\n", resource.c_str(), resource.empty() ? "" : ": ", text.c_str());
    return;
  }
  FromMonitor out;
  out.mutable_log()->set_priority(priority);
  out.mutable_log()->set_resource(resource);
  out.mutable_log()->set_text(to_utf8(text, text_bytes_max));
  send(out);
}

}  // namespace holdfast::monitor
