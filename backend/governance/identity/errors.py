"""What can go wrong when somebody proves who he is.

AutoWeaveError
├── Unauthenticated
│   ├── SignInFailed       401  e-mail or password is wrong
│   ├── SessionEnded       401  the session is over, revoked or unknown
│   └── KeyRejected        401  the API key is unknown, revoked or expired
├── Forbidden
│   └── SetupLinkInvalid   403  the setup link was used, replaced or is too old
├── Conflict
│   ├── SetUpAlready       409  an administrator exists
│   ├── EmailTaken         409  the e-mail has an account
│   └── TenantNameTaken    409  another tenant has the name
├── RateLimited
│   └── TooManyAttempts    429  too many sign-ins tried for the e-mail or from the address
└── Unavailable
    └── SignInBusy         503  more sign-ins at once than the machine can check
"""

from backend.foundation.kernel.errors import Conflict, Forbidden, RateLimited, Unauthenticated, Unavailable


class SignInFailed(Unauthenticated):
    code = "sign_in_failed"
    hint = "Check the e-mail and the password, then try again."


class SessionEnded(Unauthenticated):
    code = "session_ended"
    hint = "Sign in again."


class KeyRejected(Unauthenticated):
    code = "key_rejected"
    hint = "Make a new API key and send it as `Authorization: Bearer <key>`."


class SetupLinkInvalid(Forbidden):
    code = "setup_link_invalid"
    hint = "Use the newest link that AutoWeave printed; a restart prints a new one."


class SetUpAlready(Conflict):
    code = "set_up_already"
    hint = "Sign in with the administrator's e-mail and password."


class EmailTaken(Conflict):
    code = "email_taken"
    hint = "Use another e-mail."


class TenantNameTaken(Conflict):
    code = "tenant_name_taken"
    hint = "Use another name."


class TooManyAttempts(RateLimited):
    code = "too_many_attempts"


class SignInBusy(Unavailable):
    code = "sign_in_busy"
    hint = "Try again in a few seconds."
