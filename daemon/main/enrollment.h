// Enrollment: signs the certificate of a node that brings the one-time token of `node add`, and tells it the
// cluster.
#pragma once

#include <string>

#include "config/node_config.h"
#include "core/database/tree.h"
#include "pki/enroll.h"
#include "pki/pki.h"

namespace holdfast {

struct EnrollmentPlan {
  pki::EnrollAnswer answer;
  core::Transaction
      transaction;  // uses up the token, records the fingerprint; the answer goes out once it is committed
};

// `ask` is not trusted. permission: unknown node, wrong or expired or used token.
Result<EnrollmentPlan> plan_enrollment(const pki::EnrollAsk& ask, const core::Tree& tree,
                                       const NodeConfig& own, const pki::KeyPair& authority,
                                       int64_t now_unix);

}  // namespace holdfast
