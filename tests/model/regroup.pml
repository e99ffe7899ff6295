/* --- Regroup: nomination and acceptance (regroup.cc). Rows are not modelled: a coordinator may judge any matrix. */

inline enter_view(n, e) {
  STEP(install)
  at[n].view = e;
  at[n].promised = e; at[n].accepted = 0; at[n].accepted_of = 0; at[n].promises = 0; at[n].guest_of = 0;
  at[n].found = 0; at[n].found_over = 0;
  no_locker(n)
}
/* An observer's registration matters only while it holds. */
inline observe(n) {
  OFF(attention, n);
  if
  :: holder != 0 && KEY_NODE(holder) == n && holder_lives
  :: else -> OFF(session, n)
  fi
}

inline accept(n, e, c) {
  STEP(accept)
  at[n].promised = e; at[n].accepted = e; at[n].accepted_of = c;
  at[n].promises = at[n].promises | PROMISE(e, OWNER(nominated[SLOT(e, c)]));
  ON(accepted_by[e], n)
}

/* Can `set` be nominated by me: members of my view, of the same life and in the same regroup, me the lowest of them;
   others are joining. Puts the epoch into e_ (0: no) and the predecessors into p_. */
#define OWNER_STAYS(set) (BIT(set, OWNER(won[at[me].view])) && at[OWNER(won[at[me].view])].view == at[me].view)

inline consider(set, nominee) {
  e_ = at[me].promised;
  p_ = PROMISE(at[me].view, OWNER(won[at[me].view]));
  i = 0;
  do
  :: i < NODES && BIT(set, i) ->
    if
    :: !ALIVE(i) -> e_ = 0; break
    :: ALIVE(i) && at[i].view == at[me].view ->
      if
      :: i < me -> e_ = 0; break
      :: else
      fi
    :: ALIVE(i) && at[i].view == 0 && at[i].step == IDLE && i != nominee
    :: else -> e_ = 0; break
    fi;
    j = at[me].view + 1;
    do
    :: j <= EPOCHS ->
      bits = (at[i].promises >> (2 * j)) & 3;
      if
      :: bits != 0 && (at[i].view != 0 || at[i].guest_of == at[me].view) ->
        p_ = (p_ & ~(3 << (2 * j))) | (bits << (2 * j));
        if
        :: j > e_ -> e_ = j
        :: else
        fi
      :: else
      fi;
      j++
    :: else -> break
    od;
    i++
  :: i < NODES && !BIT(set, i) -> i++
  :: i >= NODES -> break
  od;
  if
  :: e_ != 0 -> e_++
  :: else
  fi;
  if
  :: e_ > EPOCHS -> e_ = 0
  :: else
  fi;
  /* The nomination that stands says the same already. */
  if
  :: e_ != 0 && at[me].accepted != 0 && at[me].accepted_of == me && at[me].accepted == e_ - 1 &&
     nominated[SLOT(at[me].accepted, me)] == VIEW(set, lives & (set), nominee) -> e_ = 0
  :: else
  fi;
  i = 0; j = 0; bits = 0
}

inline nominate(set, nominee) {
  STEP(nominate)
  consider(set, nominee);
  if
  :: e_ != 0 && nominated[SLOT(e_, me)] == 0 ->  /* else of an earlier life, and somebody may still use it */
    nominated[SLOT(e_, me)] = VIEW(set, lives & (set), nominee);
    predecessors[SLOT(e_, me)] = p_;
    j = e_;
    accept(me, j, me);
    j = 0;
    forget_nominations()
  :: else
  fi;
  e_ = 0; p_ = 0
}

#define FIT(set, n) (!BIT(set, n) || n == me || (ALIVE(n) && ((at[n].view == at[me].view && n > me) || (at[n].view == 0 && at[n].step == IDLE))))
#define MAY_NOMINATE(set) (ALIVE(me) && at[me].view != 0 && BIT(set, me) && at[me].promised < EPOCHS && \
                           FIT(set, 0) && FIT(set, 1) && FIT(set, 2))

/* The owner stays the owner; without it the coordinator contests. */
#define NOMINATE(set) \
  :: d_step { MAY_NOMINATE(set) -> \
    if \
    :: OWNER_STAYS(set) -> nominee_ = OWNER(won[at[me].view]) \
    :: else -> nominee_ = me \
    fi; \
    nominate(set, nominee_); \
    nominee_ = 0 }
/* Any other member, as when that one does not reach the LUN. */
#ifdef MOVES
#define MOVE(set, n) \
  :: d_step { MAY_NOMINATE(set) && at[n].view == at[me].view && \
              ((OWNER_STAYS(set) && n != OWNER(won[at[me].view])) || (!OWNER_STAYS(set) && n != me)) -> nominate(set, n) }
#endif

#define ACCEPT(e, c) \
  :: d_step { ALIVE(me) && e <= EPOCHS && nominated[SLOT(e, c)] != 0 && at[me].promised < e && \
              HAS(nominated[SLOT(e, c)], me) && \
              ((at[me].view != 0 && NAMES_BASE(predecessors[SLOT(e, c)], at[me].view)) || (at[me].view == 0 && at[me].step == IDLE)) -> \
    if \
    :: at[me].view == 0 && !NAMES_BASE(predecessors[SLOT(e, c)], at[me].guest_of) -> \
      at[me].promises = 0; \
      at[me].guest_of = 1; \
      do \
      :: !NAMES_BASE(predecessors[SLOT(e, c)], at[me].guest_of) -> at[me].guest_of++ \
      :: else -> break \
      od \
    :: else \
    fi; \
    accept(me, e, c); \
    forget_nominations() }

#ifdef M_INSTALL_ANY
#define MAY_INSTALL(e) 1
#else
#define MAY_INSTALL(e) (at[me].accepted == e && (at[me].view == 0 || at[me].promised == e))
#endif
#define INSTALL(e) \
  :: d_step { ALIVE(me) && e <= EPOCHS && BIT(announced, e) && at[me].view < e && HAS(won[e], me) && MAY_INSTALL(e) -> \
    enter_view(me, e); \
    if \
    :: at[me].step == IDLE -> observe(me) \
    :: else \
    fi; \
    forget_nominations() }
