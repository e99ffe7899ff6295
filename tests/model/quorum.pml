/* Quorum acquisition, membership and one update, for three nodes and one LUN. README.md says what each step stands for
   in the code, what is left out and why. Everything a node does between two commands or messages is one d_step.
   Nodes are 0, 1, 2 here. A run is chosen with -D: bounds and faults below, mutations (M_...) where they act. */

#ifndef EPOCHS
#define EPOCHS 4      /* no nomination beyond this epoch; the first view has epoch 1 */
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef RESTARTS
#define RESTARTS 0    /* new lives; a node has at most two lives */
#endif
#ifndef LOST
#define LOST 0        /* answers that do not arrive: executed or not, the session is gone */
#endif
#ifndef FORGETS
#define FORGETS 0     /* restarts of the target without reservations */
#endif
#ifndef STALES
#define STALES 0      /* restarts of the target with an older image of the reservation */
#endif
#ifndef UPDATES
#define UPDATES 0     /* 1: one update, its log and recovery; 0: only who may write the log */
#endif
#ifndef RESIGNS
#define RESIGNS 0     /* orderly ends of a holder: it marks the superblock and releases */
#endif
#ifndef OWNER0
#define OWNER0 0      /* owner of the first view */
#endif
/* TWINS: a dead nexus keeps its registration and the new session of its node is another nexus (tgtd).
   Otherwise the nexus is the same one in the next session (LIO). */

/* LATE, with TWINS: a superblock whose answer was lost may still be written by the dead nexus, until it is preempted. */
#ifdef LATE
#define NOTHING_LATE late_epoch = 0; late_view = 0
#else
#define NOTHING_LATE skip
#endif

#define ANY 99        /* as many as you like: no count is kept */

#include "state.pml"
#include "regroup.pml"
#include "contest.pml"
#include "update.pml"
#include "target.pml"

proctype node(byte me) {
end:
  do
  /* A coordinator nominates. */
  NOMINATE(1) NOMINATE(2) NOMINATE(3) NOMINATE(4) NOMINATE(5) NOMINATE(6) NOMINATE(7)
#ifdef MOVES
  MOVE(3, 0) MOVE(3, 1) MOVE(5, 0) MOVE(5, 2) MOVE(6, 1) MOVE(6, 2) MOVE(7, 0) MOVE(7, 1) MOVE(7, 2)
#endif
  ACCEPT(2, 0) ACCEPT(2, 1) ACCEPT(2, 2)
#if EPOCHS > 2
  ACCEPT(3, 0) ACCEPT(3, 1) ACCEPT(3, 2)
#endif
#if EPOCHS > 3
  ACCEPT(4, 0) ACCEPT(4, 1) ACCEPT(4, 2)
#endif
#if EPOCHS > 4
  ACCEPT(5, 0) ACCEPT(5, 1) ACCEPT(5, 2)
#endif
  /* The nominee contests when all have accepted this epoch. */
  :: d_step { ALIVE(me) && at[me].view != 0 && at[me].step == IDLE && at[me].accepted > at[me].view &&
              OWNER(nominated[SLOT(at[me].accepted, at[me].accepted_of)]) == me &&
              nominated[SLOT(at[me].accepted, at[me].accepted_of)] != 0 &&
#ifndef M_NO_NOMINATION
              (SET(nominated[SLOT(at[me].accepted, at[me].accepted_of)]) & ~accepted_by[at[me].accepted]) == 0 &&
#endif
              !BIT(announced, at[me].accepted) ->
    STEP(contest) at[me].own_epoch = at[me].accepted;
    at[me].own_view = nominated[SLOT(at[me].accepted, at[me].accepted_of)];
    at[me].expected = predecessors[SLOT(at[me].accepted, at[me].accepted_of)];
    at[me].base = at[me].view;
    at[me].step = READ_HEAD }
  /* Forms alone. No wait: safety must not rest on it. */
  :: d_step { ALIVE(me) && at[me].view == 0 && at[me].step == IDLE ->
    if
    :: at[me].found_over == KEY(disk_epoch, OWNER(disk_view)) -> bits = at[me].found
    :: else -> bits = 0
    fi;
    e_ = disk_epoch;
    if
    :: at[me].promised > e_ -> e_ = at[me].promised
    :: else
    fi;
    if
    :: bits != 0 && KEY_EPOCH(bits) > e_ -> e_ = KEY_EPOCH(bits)
    :: else
    fi;
    e_++;
    if
    :: e_ <= EPOCHS ->
      STEP(form) at[me].abandoned = bits;
      at[me].found = 0;
      at[me].found_over = KEY(disk_epoch, OWNER(disk_view));
      at[me].own_epoch = e_;
      at[me].own_view = VIEW(1 << me, lives & (1 << me), me);
      at[me].expected = PROMISE(disk_epoch, OWNER(disk_view));
      at[me].base = disk_epoch;
      at[me].promised = e_;
      at[me].accepted = 0; at[me].accepted_of = 0; at[me].promises = 0; at[me].guest_of = 0;
      ON(forming, me);
      at[me].step = READ_HEAD;
      forget_nominations()
    :: else
    fi;
    bits = 0; e_ = 0 }

  /* The contest. */
  :: d_step { ALIVE(me) && at[me].step == READ_HEAD -> read_head() }
  :: d_step { ALIVE(me) && at[me].step == READ_HOLDER -> read_holder() }
  /* Once this nexus holds, nobody else writes: reading back at once sees what reading back later would, and a write
     after somebody took the reservation is refused. */
  :: d_step { ALIVE(me) && at[me].step == ACT ->
    perform();
    if
    :: ok -> at[me].act = 0; at[me].victim = 0; read_back()
    :: else -> next_round(me)
    fi;
    ok = 0 }
  :: d_step { ALIVE(me) && at[me].step == WRITE ->
    write_superblock();
    if
    :: ok -> at[me].step = CHECK
    :: else -> next_round(me)
    fi;
    ok = 0 }
  :: d_step { ALIVE(me) && at[me].step == CHECK -> STEP(check)
    if
    :: holder == KEY(at[me].own_epoch, me) && disk_epoch == at[me].own_epoch && OWNER(disk_view) == me -> declare_won()
    :: else -> next_round(me)
    fi }
  /* Patience ends between two rounds: the nominee may contest again, or a newer nomination. */
  :: d_step { ALIVE(me) && at[me].step == READ_HEAD && (!BIT(session, me) || LEFT(lost, LOST)) ->
    if
    :: BIT(session, me) ->
      SPEND(lost, LOST);
      if
      :: MY_NEXUS_HOLDS -> unreserve()
      :: else
      fi;
      OFF(session, me)
    :: else
    fi;
    STEP(unreachable) end_contest(me);
    forget_nominations() }

  /* Views are told; one that leaves a node out ends that life. */
  INSTALL(2)
#if EPOCHS > 2
  INSTALL(3)
#endif
#if EPOCHS > 3
  INSTALL(4)
#endif
#if EPOCHS > 4
  INSTALL(5)
#endif
  :: d_step { ALIVE(me) && at[me].view != 0 && newest_won > at[me].view && BIT(announced, newest_won) &&
              !HAS(won[newest_won], me) -> STEP(leave) down(me) }

  /* Updates. */
#if UPDATES
  :: d_step { ALIVE(me) && at[me].locker == RECOVERING && at[me].step == IDLE && INSIDE(at[me].view) -> merge() }
  TELL(0) TELL(1) TELL(2)
  :: d_step { LOG_WRITE_DUE -> write_log() }
  :: d_step { ALIVE(me) && at[me].locker == MERGED && BIT(durable, me) && ALL_ACKED ->
    STEP(recovered) at[me].locker = READY; at[me].acked = 0; OFF(durable, me);
    assert(told == 0 || told > at[me].view || told == at[me].has);   /* I2 */
    if
    :: at[me].has != 0 -> commit(); at[me].locker = COMMITTED
    :: else
    fi;
    if
    :: at[me].view > recovered_epoch -> recovered_epoch = at[me].view; recovered_value = at[me].has
    :: else
    fi }
#ifdef M_ORDER_EARLY
  :: d_step { ALIVE(me) && at[me].locker == RECOVERING && at[me].has == 0 && at[me].promised == at[me].view && BIT(session, me) ->
    at[me].has = at[me].view;
    at[me].locker = ORDERED }
#endif
  :: d_step { ALIVE(me) && at[me].locker == READY && at[me].promised == at[me].view && !BIT(degraded, me) && BIT(session, me) ->
    at[me].has = at[me].view;
    STEP(order) at[me].locker = ORDERED }
  :: d_step { ALIVE(me) && at[me].locker == ORDERED && DURABLE && ALL_ACKED ->
    commit();
    if
    :: recovered_epoch == at[me].view -> recovered_value = at[me].has
    :: else
    fi;
    at[me].locker = COMMITTED; at[me].acked = 0; OFF(durable, me) }
#else
  :: d_step { ALIVE(me) && at[me].locker == RECOVERING && INSIDE(at[me].view) && at[me].step == IDLE && MAY_LOG && MAY_WRITE ->
    at[me].locker = READY; recovered_epoch = at[me].view }
  :: d_step { ALIVE(me) && at[me].locker != NO_LOCKER && at[me].step == IDLE && MAY_LOG &&
              (!MAY_WRITE || newest_won != at[me].view) -> write_log() }
#endif

#if LOST
  /* No answer: not executed. */
  :: d_step { ALIVE(me) && LEFT(lost, LOST) && at[me].step != IDLE ->
    SPEND(lost, LOST); lose_session(me); next_round(me) }
  /* No answer: executed. */
  :: d_step { ALIVE(me) && LEFT(lost, LOST) && at[me].step == ACT ->
    SPEND(lost, LOST); perform(); ok = 0; lose_session(me); next_round(me) }
  :: d_step { ALIVE(me) && LEFT(lost, LOST) && at[me].step == WRITE ->
    SPEND(lost, LOST); write_superblock(); ok = 0; lose_session(me); next_round(me) }
#ifdef LATE
  :: d_step { ALIVE(me) && LEFT(lost, LOST) && at[me].step == WRITE && MY_NEXUS_HOLDS && !BIT(attention, me) ->
    SPEND(lost, LOST); late_epoch = at[me].own_epoch; late_view = at[me].own_view; lose_session(me); next_round(me) }
  :: d_step { late_epoch != 0 && OWNER(late_view) == me ->
    disk_epoch = late_epoch; disk_view = late_view; NOTHING_LATE;
    assert(disk_epoch >= newest_won) }
#endif
#if UPDATES
  :: d_step { LEFT(lost, LOST) && LOG_WRITE_DUE ->
    SPEND(lost, LOST); write_log(); OFF(durable, me); ON(degraded, me); lose_session(me) }
#endif
  /* The session of an owner breaks: it re-keys before it writes again. */
  :: d_step { ALIVE(me) && LEFT(lost, LOST) && at[me].step == IDLE && at[me].locker != NO_LOCKER && BIT(session, me) ->
    SPEND(lost, LOST); ON(degraded, me); lose_session(me) }
#endif
#if CRASHES
  :: d_step { ALIVE(me) && LEFT(crashes, CRASHES) -> STEP(crash) SPEND(crashes, CRASHES); down(me) }
#endif
#if RESIGNS
  :: d_step { ALIVE(me) && LEFT(resigns, RESIGNS) && at[me].locker != NO_LOCKER && !BIT(degraded, me) && at[me].step == IDLE ->
    STEP(resign) SPEND(resigns, RESIGNS);
    if
    :: BIT(session, me) ->
      if
      :: MAY_WRITE -> disk_epoch = at[me].view; disk_view = won[at[me].view]; assert(disk_epoch >= newest_won)
      :: else
      fi;
      if
      :: MY_NEXUS_HOLDS -> unreserve()
      :: else
      fi
    :: else
    fi;
    down(me) }
#endif
#if RESTARTS
  :: d_step { !ALIVE(me) && LEFT(restarts, RESTARTS) && !BIT(lives, me) ->
    STEP(restart) SPEND(restarts, RESTARTS);
    ON(lives, me); ON(up, me);
    i = 2;
    do
    :: i <= EPOCHS -> OFF(accepted_by[i], me); i++
    :: else -> break
    od;
    i = 0 }
#endif
  od
}

init {
  atomic {
    at[0].view = 1; at[1].view = 1; at[2].view = 1;
    at[0].promised = 1; at[1].promised = 1; at[2].promised = 1;
    won[1] = VIEW(7, 0, OWNER0);
    announced = 2;
    session = 1 << OWNER0;
    at[OWNER0].locker = READY;
    run node(0); run node(1); run node(2);
#if FORGETS || STALES
    run target();
#endif
  }
}
