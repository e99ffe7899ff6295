#include "main/life.h"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/version.h"
#include "core/properties/timing.h"
#include "main/enrollment.h"
#include "main/journal.h"

namespace holdfast {
namespace {

uint64_t wall_ms() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000 + static_cast<uint64_t>(t.tv_nsec) / 1'000'000;
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const int why = errno;
    return fail(why == ENOENT || why == ENOTDIR ? ErrorCode::not_found : ErrorCode::io,
                path + " cannot be read", why);
  }
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

Instant boot_now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return Instant{t.tv_sec * 1'000'000'000LL + t.tv_nsec};
}

Result<Credentials> load_credentials(const std::string& dir) {
  Credentials c;
  const char* hint = "'holdfast cluster create' or 'holdfast cluster join' makes it";
  for (auto [file, to] : {std::pair{"/authority.pem", &c.authority_pem},
                          {"/node.pem", &c.certificate_pem},
                          {"/node.key", &c.private_key_pem}}) {
    auto text = read_file(dir + file);
    if (!text) return fail(text.error().code, text.error().message, text.error().os_errno, hint);
    *to = std::move(*text);
  }
  if (auto key = read_file(dir + "/authority.key")) c.authority_key_pem = std::move(*key);
  return c;
}

Life::Life(asio::io_context& io, const NodeConfig& config, const Credentials& credentials,
           std::function<void(Ended)> ended)
    : io_(io),
      config_(config),
      credentials_(credentials),
      ended_(std::move(ended)),
      timer_(io),
      load_timer_(io),
      end_timer_(io) {
  incarnation_ = Incarnation{pki::random_u64() | 1};
  load_replica();
  core::CoreConfig c;
  c.cluster_id = config_.cluster_id;
  c.cluster_name = config_.cluster_name;
  c.node_name = config_.node_name;
  c.self = config_.node;
  c.incarnation = incarnation_;
  // The configuration file knows the nodes of the day this one joined; the replica those of its last life.
  if (known_tree_.exists("nodes")) {
    for (const auto& node : core::all_nodes(known_tree_)) c.peers[node.id] = node.name;
  } else {
    for (const auto& peer : config_.peers) c.peers[peer.node] = peer.name;
  }
  for (const auto& network : config_.networks) c.networks.emplace_back(network.name, network.address);
  c.quorum_kind = config_.quorum.kind;
  c.quorum_device = config_.quorum.device;
  if (auto secret = c.quorum_device.find('@');
      secret != std::string::npos && c.quorum_device.rfind("iscsi://", 0) == 0)
    c.quorum_device = "iscsi://" + c.quorum_device.substr(secret + 1);  // CHAP secrets stay in the file
  core_ = std::make_unique<core::Core>(std::move(c));
}

Life::~Life() {
  *alive_ = false;
  api_.reset();
  if (transport_) transport_->stop();
}

void Life::load_replica() {
  const std::string replica_path = config_.state_dir + "/replica.db";
  if (auto tree = Replica::load(replica_path)) {
    if (tree->text("cluster", "Id") == config_.cluster_id) known_tree_ = std::move(*tree);
  } else if (tree.error().code == ErrorCode::corrupt) {
    log(Priority::warning, tree.error().text() + ": it is set aside and written anew");
    std::error_code ignored;
    std::filesystem::rename(replica_path, replica_path + ".damaged", ignored);
  }
}

Status Life::start() {
  const std::string replica_path = config_.state_dir + "/replica.db";
  HOLDFAST_TRY(auto lun, make_quorum_lun(config_));

  TransportConfig t;
  t.cluster_id = config_.cluster_id;
  t.self = config_.node;
  t.self_name = config_.node_name;
  t.incarnation = incarnation_;
  for (const auto& n : config_.networks) t.networks.push_back({n.name, n.address, n.port});
  t.authority_pem = credentials_.authority_pem;
  t.certificate_pem = credentials_.certificate_pem;
  t.private_key_pem = credentials_.private_key_pem;
  t.version_min = protocol_version_min;
  t.version_max = protocol_version_max;
  t.software = version_text();
  transport_ = std::make_unique<Transport>(io_, t, static_cast<TransportEvents&>(*this));
  HOLDFAST_CHECK(transport_->start());
  refresh_peers();
  if (!credentials_.authority_key_pem.empty())
    transport_->set_enrollment_async(
        [this](const pki::EnrollAsk& ask, std::function<void(Result<pki::EnrollAnswer>)> reply) {
          // In a regroup the change waits for the next view.
          const core::Phase phase = core_->membership().phase();
          if (phase != core::Phase::member && phase != core::Phase::regroup) {
            reply(fail(ErrorCode::not_member, "this node is not in the cluster at present", 0,
                       "try again when it is"));
            return;
          }
          auto plan = plan_enrollment(ask, core_->tree(), config_,
                                      {credentials_.authority_pem, credentials_.authority_key_pem},
                                      static_cast<int64_t>(wall_ms() / 1000));
          if (!plan) {
            log(Priority::warning, "enrollment of '" + ask.node_name + "' refused: " + plan.error().text());
            reply(fail(plan.error()));
            return;
          }
          deliver(core::TransactionAsked{plan->transaction, "node '" + ask.node_name + "' enrolled",
                                         [answer = plan->answer, reply](const Status& ok) {
                                           if (ok)
                                             reply(answer);
                                           else
                                             reply(fail(ok.error()));
                                         }});
        });

  disk_ = std::make_unique<QuorumDisk>(std::move(lun), [this, alive = alive_](core::LunResult result) {
    asio::post(io_, [this, alive, result = std::move(result)] {
      if (*alive) deliver(core::LunCompleted{result});
    });
  });
  replica_ = std::make_unique<Replica>(
      replica_path, [](const std::string& why) { log(Priority::warning, why + ", ignoring"); });

  MonitorLinkConfig m;
  m.program = config_.monitor_program;
  m.state_dir = config_.state_dir;
  m.hello.set_version_min(protocol_version_min);
  m.hello.set_version_max(protocol_version_max);
  m.hello.set_cluster_id(config_.cluster_id);
  m.hello.set_cluster_name(config_.cluster_name);
  m.hello.set_node_name(config_.node_name);
  m.hello.set_node_id(static_cast<uint32_t>(config_.node.value));
  m.hello.set_silence_ms(static_cast<uint32_t>(core::timing_from(known_tree_).monitor_silence.ms()));
  m.hello.set_state_dir(config_.state_dir);
  for (const auto& dir : config_.plugin_dirs) m.hello.add_plugin_dirs(dir);
  monitor_ = std::make_unique<MonitorLink>(
      io_, m,
      MonitorLink::Handlers{
          [this] { deliver(core::MonitorStarted{}); },
          [this](const std::string& why) { deliver(core::MonitorDied{why}); },
          [this](const monitor::FromMonitor& message) { deliver(core::MonitorSaid{message}); },
          [](const std::string& text) { log(Priority::warning, text); }});
  monitor_->start();

  api_ = std::make_unique<ApiSocket>(
      io_, config_.socket_path(),
      ApiSocket::Handlers{
          [this](uint64_t client, api::Request request, bool may_change, std::string who) {
            deliver(core::ApiRequested{client, std::move(request), may_change, std::move(who)});
          },
          [this](uint64_t client) { deliver(core::ApiClosed{client}); }});
  HOLDFAST_CHECK(api_->start());
  deliver(core::Started{});
  sample_load();
  warn_about_certificate();
  return {};
}

void Life::warn_about_certificate() {
  auto identity = pki::read_identity(credentials_.certificate_pem);
  if (!identity) return;
  int64_t days = (identity->not_after_unix - static_cast<int64_t>(wall_ms() / 1000)) / 86400;
  if (days < 30)
    log(Priority::warning,
        "the certificate of this node " +
            (days < 0 ? std::string("has expired") : "expires in " + std::to_string(days) + " days") +
            ": enroll it again with a token of 'holdfast node add'");
}

void Life::sample_load() {
  auto s = load_.sample();
  deliver(core::LoadSampled{s.cpu_percent, s.memory_percent});
  load_timer_.expires_after(std::chrono::seconds(2));
  load_timer_.async_wait([this, alive = alive_](asio::error_code error) {
    if (!error && *alive) sample_load();
  });
}

// Steps are never nested: what an order causes at once is queued behind it.
void Life::deliver(core::Event event) {
  if (over_) return;
  queue_.push_back(std::move(event));
  if (stepping_) return;
  stepping_ = true;
  while (!queue_.empty() && !over_) {
    core::Event next = std::move(queue_.front());
    queue_.pop_front();
    last_step_ = boot_now();
    auto output = core_->step(next, last_step_, wall_ms());
    run_output(output, *this);
    if (peers_stale_) {
      peers_stale_ = false;
      refresh_peers();
    }
  }
  stepping_ = false;
}

void Life::refresh_peers() {
  const core::Tree& tree = core_->tree().exists("nodes") ? core_->tree() : known_tree_;
  std::map<NodeId, PeerConfig> peers;
  if (!tree.exists("nodes"))
    for (const auto& p : config_.peers) peers[p.node] = PeerConfig{p.node, p.name, p.addresses, p.port};
  for (const auto& node : core::all_nodes(tree)) {
    PeerConfig peer;
    peer.id = node.id;
    peer.name = node.name;
    peer.port = static_cast<uint16_t>(tree.number(node.key, "Port", default_port));
    for (const auto& network : config_.networks) {
      peer.addresses.emplace_back();
      for (const auto& text : tree.list(node.key, "Addresses"))
        if (text.rfind(network.name + "=", 0) == 0)
          peer.addresses.back() = text.substr(network.name.size() + 1);
    }
    peers[peer.id] = std::move(peer);
  }
  peers.erase(config_.node);
  std::vector<PeerConfig> list;
  for (auto& [id, peer] : peers) list.push_back(std::move(peer));
  std::set<std::string> revoked;
  for (const auto& fingerprint : tree.children("revoked")) revoked.insert(fingerprint);
  transport_->set_revoked(std::move(revoked));
  transport_->set_peers(std::move(list));
}

void Life::request_stop(const std::string& why) {
  deliver(core::StopRequested{why});
}

std::string Life::status_line() const {
  const auto& m = core_->membership();
  return std::string(core::to_string(m.phase())) + ": " + m.phase_reason();
}

bool Life::healthy(Instant now) const {
  return over_ || now - last_step_ < Duration::seconds(5);
}

void Life::on_datagram(NodeId from, Incarnation incarnation, int network, const std::string& payload,
                       Instant received_at) {
  deliver(core::DatagramReceived{from, incarnation, network, payload, received_at});
}
void Life::on_message(NodeId from, Incarnation incarnation, const std::string& payload) {
  deliver(core::MessageReceived{from, incarnation, payload});
}
void Life::on_peer_connected(NodeId peer, Incarnation incarnation, uint32_t, const std::string& software) {
  deliver(core::PeerConnected{peer, incarnation, software});
}
void Life::on_peer_disconnected(NodeId peer, const std::string& why) {
  deliver(core::PeerDisconnected{peer, why});
}
void Life::on_peer_refused(const std::string& who, const std::string& why) {
  log(Priority::warning, "connection of " + who + " refused: " + why);
}
void Life::on_network_state(int network, bool up) {
  deliver(core::NetworkChanged{network, up});
}

void Life::execute(const core::LunOp& op) {
  disk_->execute(op);
}
void Life::set_epoch(uint64_t epoch) {
  transport_->set_epoch(epoch);
}
void Life::send_datagram(NodeId to, const std::string& payload) {
  for (int network = 0; network < static_cast<int>(config_.networks.size()); ++network)
    transport_->send_datagram(to, network, payload);
}
void Life::send_message(NodeId to, uint64_t epoch, const std::string& payload) {
  // A message that cannot be queued is one to a peer that is gone or far behind: the acknowledgement's
  // deadline removes it.
  if (!transport_->send_message(to, epoch, payload))
    log(Priority::debug, "a message to node " + std::to_string(to.value) + " was not taken");
}
void Life::tell_monitor(const monitor::ToMonitor& message) {
  monitor_->send(message);
}

void Life::answer(uint64_t client, api::Response response) {
  if (response.has_status()) {
    for (const auto& [name, value] : transport_->counters()) {
      auto* c = response.mutable_status()->add_counters();
      c->set_name(name);
      c->set_value(value);
    }
  }
  if (api_) api_->send(client, std::move(response));
}

void Life::publish(const api::Event& event) {
  log_event(event);
}

void Life::write_replica(const core::Output::ReplicaWrite& write) {
  if (!replica_) return;
  if (write.whole_tree) {
    replica_->write_all(core_->tree(), core_->updates().committed());
    return;
  }
  std::set<std::string> keys;
  bool deletes = false;
  for (const auto& change : write.update->transaction().changes()) {
    deletes = deletes || change.kind() == tree::Change::DELETE_KEY;
    for (std::string key = change.key(); !key.empty(); key = core::parent_path(key)) keys.insert(key);
  }
  if (deletes)  // whole subtrees vanish: the simple way
    replica_->write_all(core_->tree(), core_->updates().committed());
  else
    replica_->write_keys(core_->tree(), {keys.begin(), keys.end()}, Sequence{write.update->sequence()});
}

void Life::learn_roster(const tree::Tree& roster) {
  // The core has looked at it: it is a tree with nodes.
  if (auto loaded = known_tree_.load(roster); !loaded) log(Priority::error, loaded.error().text());
  peers_stale_ = true;
}

void Life::arm(Instant deadline) {
  if (deadline == armed_) return;  // most steps change nothing about it, and arming costs a system call
  armed_ = deadline;
  Duration wait = deadline - boot_now();
  timer_.expires_after(std::chrono::nanoseconds(std::clamp<int64_t>(wait.ns, 0, 1'000'000'000)));
  timer_.async_wait([this, alive = alive_](asio::error_code error) {
    if (error || !*alive) return;
    armed_.reset();
    deliver(core::TimeReached{});
  });
}

void Life::trace(const std::string& text) {
  log(Priority::info, text);
}

void Life::life_ended(const core::LifeEnded& end) {
  over_ = true;
  verdict_ = Ended{end.reason, end.stop};
  log(end.stop ? Priority::notice : Priority::warning, "left the cluster: " + end.reason);
  timer_.cancel();
  load_timer_.cancel();
  // The monitor ends whatever is left; the last datagrams are on their way meanwhile.
  monitor_->shutdown([this, alive = alive_] {
    asio::post(io_, [this, alive] {
      if (*alive) finish();
    });
  });
}

void Life::finish() {
  ended_(*verdict_);
}

}  // namespace holdfast
