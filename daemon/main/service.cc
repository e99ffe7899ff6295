#include "main/service.h"

#include <signal.h>
#include <systemd/sd-daemon.h>

#include "main/journal.h"

namespace holdfast {

Service::Service(NodeConfig config)
    : config_(std::move(config)), signals_(io_, SIGTERM, SIGINT), restart_(io_), watchdog_(io_) {}

int Service::run() {
  wait_for_signal();
  if (sd_watchdog_enabled(0, &watchdog_us_) <= 0) watchdog_us_ = 0;
  begin_life();
  // Type=notify: ready means that the service runs and answers its socket. Membership comes when the others
  // answer.
  sd_notify(0, "READY=1");
  pet_watchdog();
  io_.run();
  return exit_status_;
}

void Service::wait_for_signal() {
  signals_.async_wait([this](asio::error_code error, int signal) {
    if (error) return;
    const std::string why = signal == SIGTERM ? "the service was asked to stop" : "interrupted";
    sd_notify(0, "STOPPING=1");
    stopping_ = true;
    if (life_)
      life_->request_stop(why);
    else
      io_.stop();
    wait_for_signal();
  });
}

void Service::pet_watchdog() {
  watchdog_.expires_after(
      std::chrono::milliseconds(watchdog_us_ ? std::min<uint64_t>(watchdog_us_ / 4000, 1000) : 1000));
  watchdog_.async_wait([this](asio::error_code error) {
    if (error) return;
    if (watchdog_us_ && (!life_ || life_->healthy(boot_now()))) sd_notify(0, "WATCHDOG=1");
    notify_state();
    pet_watchdog();
  });
}

void Service::notify_state() {
  std::string line = life_ ? life_->status_line() : "between two lives";
  if (line == last_status_) return;
  last_status_ = line;
  sd_notifyf(0, "STATUS=%s", line.c_str());
}

void Service::begin_life() {
  if (stopping_) {
    io_.stop();
    return;
  }
  // Nothing of an earlier life may be left when this one is heard by others: they take a new incarnation for
  // a promise.
  auto swept = MonitorLink::sweep(config_.monitor_program, config_.state_dir);
  Status started = swept;
  if (started) {
    auto credentials = load_credentials(config_.tls_dir);
    if (credentials) {
      life_ = std::make_unique<Life>(io_, config_, *credentials,
                                     [this](Life::Ended end) { life_over(std::move(end)); });
      started = life_->start();
    } else {
      started = fail(credentials.error());
    }
  }
  if (started) return;
  life_.reset();
  log(Priority::error, "the service cannot start: " + started.error().text());
  sd_notifyf(0, "STATUS=%s", started.error().text().c_str());
  ++lives_failed_;
  restart_.expires_after(std::chrono::seconds(std::min(lives_failed_, 10)));
  restart_.async_wait([this](asio::error_code error) {
    if (!error) begin_life();
  });
}

void Service::life_over(Life::Ended end) {
  lives_failed_ = 0;
  // Out of the life's own call stack before it is destroyed.
  asio::post(io_, [this, end] {
    life_.reset();
    if (end.stop || stopping_) {
      io_.stop();
      return;
    }
    restart_.expires_after(std::chrono::milliseconds(500));
    restart_.async_wait([this](asio::error_code error) {
      if (!error) begin_life();
    });
  });
}

}  // namespace holdfast
