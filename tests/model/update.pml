/* --- Updates: the log, recovery, one update (daemon/core/update) --- */

/* I1. No view acts once a newer one was won. */
inline write_log() {
  STEP(write_log)
  if
  :: MAY_WRITE ->
    assert(newest_won == at[me].view);
#if UPDATES
    logged = at[me].has;
    ON(durable, me)
#endif
  :: else -> ON(degraded, me)
  fi
}
#ifdef M_NO_R3
#define MAY_LOG 1
#elif defined(M_OPEN_LANE)
#define MAY_LOG (!BIT(degraded, me))
#else
#define MAY_LOG (BIT(session, me) && !BIT(degraded, me))
#endif
/* The lane is one: no log write while a contest runs. */
#define LOG_WRITE_DUE (ALIVE(me) && !BIT(durable, me) && (at[me].locker == MERGED || at[me].locker == ORDERED) && \
                       at[me].step == IDLE && MAY_LOG)
#define ALL_ACKED (at[me].acked == (SET(won[at[me].view]) & ~(1 << me)))
#ifdef M_ACK_EARLY
#define DURABLE 1
#else
#define DURABLE BIT(durable, me)
#endif

/* Everything in the log or at any member; for one sequence the higher epoch. */
inline merge() {
  bits = at[me].has;
#ifndef M_MEMBERS_ONLY
  if
  :: logged > bits -> bits = logged
  :: else
  fi;
#endif
  i = 0;
  do
  :: i < NODES ->
    if
    :: BIT(SET(won[at[me].view]), i) && at[i].has > bits -> bits = at[i].has
    :: else
    fi;
    i++
  :: else -> break
  od;
  j = (bits != 0 || logged != 0);
#ifdef M_LOG_ONLY
  bits = logged;
#endif
  assert(!j || bits != 0);  /* what is in the log or at any member is completed */
  at[me].has = bits;
  at[me].locker = MERGED;
  i = 0; j = 0; bits = 0
}

inline commit() {
  STEP(commit)
  assert(told == 0 || told == at[me].has);   /* I2: one update a sequence */
  told = at[me].has;
  assert(recovered_epoch <= at[me].view || recovered_value == told)
}

#define INSIDE(b) (at[0].view == b || !BIT(SET(won[b]), 0)) && (at[1].view == b || !BIT(SET(won[b]), 1)) && \
                  (at[2].view == b || !BIT(SET(won[b]), 2))

#define TELL(m) \
  :: d_step { ALIVE(me) && (at[me].locker == MERGED || at[me].locker == ORDERED) && m != me && ALIVE(m) && \
              at[m].view == at[me].view && BIT(SET(won[at[me].view]), m) && !BIT(at[me].acked, m) -> \
    at[m].has = at[me].has; \
    STEP(acknowledge) ON(at[me].acked, m) }
