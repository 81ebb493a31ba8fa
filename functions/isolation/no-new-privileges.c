/* Whether programs that it executes can gain no privileges: 1 if so. */
#define OPTION PR_GET_NO_NEW_PRIVS
#include "prctl.h"
