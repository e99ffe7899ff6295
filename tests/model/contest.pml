/* --- The quorum LUN --- */

inline newest_expected() {
  j = EPOCHS;
  do
  :: j > 0 && ((at[me].expected >> (2 * j)) & 3) == 0 -> j--
  :: else -> break
  od
}

inline read_head() {
  STEP(read_head)
  ok = (disk_epoch == at[me].own_epoch && OWNER(disk_view) == me);
  bits = ok || NAMES(at[me].expected, disk_epoch, OWNER(disk_view));
  newest_expected();
  if
#ifndef M_NO_JUDGE
  :: !bits && disk_epoch >= j -> i = 1
#endif
#ifndef M_NO_REMOVED
  :: !ok && disk_epoch > at[me].base && !HAS(disk_view, me) -> i = 1
#endif
  :: else -> i = 0
  fi;
  if
  :: i -> lose_contest(0)
  :: else ->
    if
    :: bits -> ON(judged, me)
    :: else
    fi;
    at[me].seen_epoch = disk_epoch;
    at[me].step = READ_HOLDER
  fi;
  i = 0; j = 0; bits = 0; ok = 0
}

inline read_holder() {
  STEP(read_holder)
  OFF(attention, me);
  bits = BIT(judged, me);
#ifdef M_NO_JUDGE
  bits = 1;
#endif
  ok = (holder != 0 && NAMES(at[me].expected, KEY_EPOCH(holder), KEY_NODE(holder)));
#ifdef M_RACE_KEY
  ok = (holder != 0);
#endif
  j = (!ok && bits && at[me].abandoned != 0 && holder == at[me].abandoned);
#ifdef M_FORM_ANY_KEY
  j = (!ok && bits && BIT(forming, me));
#endif
  if
  :: holder == KEY(at[me].own_epoch, me) -> at[me].act = OWN
  :: holder != KEY(at[me].own_epoch, me) && holder == 0 && bits -> at[me].act = RESERVE
  :: holder != KEY(at[me].own_epoch, me) && holder != 0 ->
    if
    :: ok && BIT(session, me) && MY_NEXUS_HOLDS -> at[me].act = DEFEND
    :: !(ok && BIT(session, me) && MY_NEXUS_HOLDS) && (ok || j) -> at[me].act = SEIZE
    :: !ok && !j && KEY_EPOCH(holder) < at[me].seen_epoch && bits -> at[me].act = SEIZE
    :: else
    fi;
    at[me].victim = holder;
  :: else
  fi;
  if
  :: at[me].act == 0 ->
    i = (bits -> holder : 0);
    at[me].victim = 0;
    lose_contest(i)
  :: else ->
    if
    :: j -> ON(used_abandoned, me)
    :: else
    fi;
    if
    :: at[me].act == OWN || at[me].act == RESERVE -> at[me].victim = 0
    :: else
    fi;
    at[me].seen_epoch = 0;
    OFF(judged, me);
    at[me].step = ACT
  fi;
  i = 0; j = 0; bits = 0; ok = 0
}

/* A reset tells every other nexus. Only a node that may write before it reads the reservation again need remember. */
#define MINDS(n) (BIT(session, n) && (at[n].locker != NO_LOCKER || at[n].step == WRITE))
inline tell_attention(n) {
  if
  :: n != me && MINDS(n) -> ON(attention, n)
  :: else
  fi
}
inline lun_reset() { tell_attention(0); tell_attention(1); tell_attention(2) }

/* Registering over a nexus that holds the reservation changes the key that holds. */
inline register_own() {
  if
  :: MY_NEXUS_HOLDS -> hold(KEY(at[me].own_epoch, me))
  :: else
  fi
}

/* The command sequence of one act. ok: it went through; else the next round reads first. */
inline perform() {
  ok = 0;
  i = BIT(session, me);
  OFF(session, me);
  if
  :: at[me].act == OWN -> STEP(own_key)
    register_own();
    if
    :: holder == KEY(at[me].own_epoch, me) -> hold(holder)  /* a dead twin gives it to this nexus */
    :: else
    fi;
    lun_reset();
    ok = 1
  :: at[me].act == RESERVE -> STEP(reserve)
    register_own();
    if
    :: holder == 0 -> hold(KEY(at[me].own_epoch, me))
    :: else
    fi;
    if
    :: MY_NEXUS_HOLDS -> lun_reset(); ok = 1
    :: else
    fi
  :: at[me].act == DEFEND -> STEP(defend)
    if
    :: i && MY_NEXUS_HOLDS && holder == at[me].victim -> hold(KEY(at[me].own_epoch, me)); ok = 1
    :: else
    fi
  :: at[me].act == SEIZE -> STEP(seize)
    register_own();
    if
    :: holder == at[me].victim ->
      hold(KEY(at[me].own_epoch, me));
      lun_reset();  /* the abort, or the reset, tells the victim as well */
      ok = 1
    :: else
    fi
  fi;
  if
  :: MY_NEXUS_HOLDS -> ON(session, me)  /* a registration that does not hold has no effect on anybody */
  :: else
  fi;
  i = 0
}

inline read_back() {
  STEP(read_back)
  OFF(attention, me);
  if
  :: holder != KEY(at[me].own_epoch, me) -> next_round(me)
  :: holder == KEY(at[me].own_epoch, me) ->
    ok = (disk_epoch == at[me].own_epoch && OWNER(disk_view) == me);
    newest_expected();
    if
#ifndef M_ONE_LOOK
#ifndef M_JUDGE_ONCE
    :: !ok && !NAMES(at[me].expected, disk_epoch, OWNER(disk_view)) && disk_epoch >= j -> lose_contest(0)
#endif
#ifndef M_NO_REMOVED
    :: !ok && disk_epoch > at[me].base && !HAS(disk_view, me) -> lose_contest(0)
#endif
#ifndef M_ABANDONED_LIVES
    :: BIT(used_abandoned, me) && !NAMES(at[me].expected, disk_epoch, OWNER(disk_view)) -> lose_contest(0)
#endif
#endif
    :: else ->
#ifdef M_EARLY_WIN
      declare_won()
#else
      at[me].step = WRITE
#endif
    fi;
    j = 0
  fi
}

inline write_superblock() {
  STEP(write_superblock)
  if
  :: MAY_WRITE ->
    disk_epoch = at[me].own_epoch;
    disk_view = at[me].own_view;
    ok = 1
  :: else -> ok = 0
  fi;
  assert(disk_epoch >= newest_won)   /* the superblock never falls behind a view that was won */
}

/* I1. One view an epoch; wins in the order of epochs; and no win supersedes a view that went to work (it recovered, so
   all its members installed it) unless it set out from that view or a later one. So a life that such a view left out
   never owns the quorum again, and a node that forms replaces only what it had watched. */
inline declare_won() {
  STEP(won)
  assert(won[at[me].own_epoch] == 0);
  assert(newest_won < at[me].own_epoch);
  assert(recovered_epoch <= at[me].base);
  won[at[me].own_epoch] = at[me].own_view;
  newest_won = at[me].own_epoch;
  /* A set that has promised itself to a newer nomination does not install. */
  if
  :: BIT(forming, me) || (at[me].view == at[me].base && at[me].promised == at[me].own_epoch && at[me].accepted == at[me].own_epoch) ->
    e_ = at[me].own_epoch;
    ON(announced, e_);
    enter_view(me, e_);
    e_ = 0;
    at[me].locker = RECOVERING
  :: !(BIT(forming, me) || (at[me].view == at[me].base && at[me].promised == at[me].own_epoch && at[me].accepted == at[me].own_epoch)) &&
     at[me].locker != NO_LOCKER -> ON(degraded, me)
  :: else
  fi;
  end_contest(me);
  forget_nominations()
}

/* Lost: what was registered goes. A member leaves, one that forms waits. */
inline lose_contest(key) {
  STEP(lost)
  if
  :: BIT(session, me) && MY_NEXUS_HOLDS -> unreserve()
  :: else
  fi;
  OFF(session, me);
  if
  :: BIT(forming, me) ->
    at[me].found = key;
    end_contest(me)
  :: !BIT(forming, me) && at[me].view == at[me].base -> down(me)
  :: else -> end_contest(me)    /* another view was installed meanwhile */
  fi
}
