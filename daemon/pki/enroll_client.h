// The client side of enrollment, for `holdfast join`: blocking, one call.
#pragma once

#include "base/error.h"
#include "base/time.h"
#include "pki/enroll.h"
#include "pki/pki.h"

namespace holdfast::pki {

// Asks the cluster named in the token for a certificate, at each of its addresses in turn until one answers.
// The secret is sent only to a server whose certificate was issued by the authority that the token names.
// Errors: permission (the cluster said no, or it is not that cluster), unreachable, timeout (it may have
// happened).
Result<EnrollAnswer> enroll(const Token& token, const std::string& csr_pem, Duration timeout);

// What enroll() makes of `body`, an EnrollReply: only an answer for the key of `csr_pem`, from the authority
// that the token names. Errors: corrupt, permission, or what the cluster said.
Result<EnrollAnswer> check_enroll_answer(const Token& token, const std::string& csr_pem,
                                         const std::string& body);

}  // namespace holdfast::pki
