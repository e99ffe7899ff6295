/* --- Restarts of the target --- */

/* A restart of the target ends every session; what was under way is gone with it. */
inline sessions_end() {
  i = 0;
  do
  :: i < NODES ->
    lose_session(i);
    if
    :: at[i].step != IDLE -> next_round(i)
    :: else
    fi;
    if
    :: at[i].locker != NO_LOCKER -> ON(degraded, i)
    :: else
    fi;
    i++
  :: else -> break
  od;
  i = 0
}

#define IMAGE(k) \
  :: d_step { LEFT(stales, STALES) && k < 3 * EPOCHS && ((images >> (k)) & 1) -> \
    SPEND(stales, STALES); sessions_end(); \
    hold(KEY((k) / 3 + 1, (k) % 3)); \
    STALE_NEXUS }
#ifdef TWINS
#define STALE_NEXUS holder_lives = 0
#else
#define STALE_NEXUS holder_lives = 1
#endif

#if FORGETS || STALES
proctype target() {
end:
  do
#if FORGETS
  :: d_step { LEFT(forgets, FORGETS) -> SPEND(forgets, FORGETS); sessions_end(); unreserve() }
#endif
#if STALES
  IMAGE(0) IMAGE(1) IMAGE(2) IMAGE(3) IMAGE(4) IMAGE(5) IMAGE(6) IMAGE(7) IMAGE(8) IMAGE(9) IMAGE(10) IMAGE(11)
#endif
  od
}
#endif
