/* What there is: the LUN, the nodes, and what ends with a session, a contest or a life. */

/* Marks where a step of steps.inc is taken. */
#define STEP(name)

#define NODES 3
#define NOBODY 3

/* A key is epoch and node; 0 is none. */
#define KEY(e, n) (((e) << 2) | (n))
#define KEY_EPOCH(k) ((k) >> 2)
#define KEY_NODE(k) ((k) & 3)
/* A view without its epoch: members, the life of each (a bit), owner. */
#define VIEW(set, lives, owner) ((set) | ((lives) << 3) | ((owner) << 6))
#define SET(v) ((v) & 7)
#define LIVES(v) (((v) >> 3) & 7)
#define OWNER(v) ((v) >> 6)
#define HAS(v, n) ((((v) >> (n)) & 1) && ((((v) >> (3 + (n))) & 1) == ((lives >> (n)) & 1)))
#define ALIVE(n) ((up >> (n)) & 1)
/* Promises and predecessors: for each epoch the holder that was nominated (+1), two bits. */
#define PROMISE(e, n) (((n) + 1) << (2 * (e)))
#if EPOCHS <= 3
#define EPOCH_SET 8
#define epoch_set byte
#else
#define EPOCH_SET 12
#define epoch_set short
#endif
#define NAMES(p, e, n) ((((p) >> (2 * (e))) & 3) == (n) + 1)
/* The lowest epoch among predecessors is that of the regrouped view. */
#define NAMES_BASE(p, b) (((p) & ((1 << (2 * (b))) - 1)) == 0 && (((p) >> (2 * (b))) & 3) != 0)

/* The LUN. */
byte holder = KEY(1, OWNER0);        /* key that holds the reservation */
bit holder_lives = 1;           /* by the nexus of that node's next or present session, not by a dead one */
byte disk_epoch = 1;            /* superblock */
byte disk_view = VIEW(7, 0, OWNER0);
byte logged;                    /* the log: the update of sequence 1, named by the epoch that ordered it; 0 = none */
#ifdef LATE
byte late_epoch, late_view;
#endif
#if STALES
short images = 1 << OWNER0;               /* reservations that an older image may hold: bit 3 * (epoch - 1) + node */
#endif

/* Announced views, by epoch. A view is found by its epoch, which I1 says is enough. */
byte won[EPOCHS + 1];
byte announced;                 /* bit by epoch: its owner installed it and tells everybody */

/* Nominations, by epoch and coordinator; as datagrams may be late, they stay as long as somebody could use them. */
#define SLOT(e, c) (((e) - 2) * NODES + (c))
byte nominated[(EPOCHS - 1) * NODES];
epoch_set predecessors[(EPOCHS - 1) * NODES];
byte accepted_by[EPOCHS + 1];   /* who said, in its present life, that it accepted this epoch */

/* Nodes. Small fields: Spin keeps every state that it has seen. */
typedef Node {
  unsigned view : 3;            /* epoch of the installed view; 0 = outside */
  unsigned promised : 3;        /* highest promise */
  unsigned accepted : 3;        /* epoch accepted in this regroup */
  unsigned accepted_of : 2;     /* and its coordinator */
  unsigned promises : EPOCH_SET;  /* in this regroup */
  unsigned guest_of : 3;        /* outside: base of the regroup that takes it in */
  unsigned found : 5;           /* forming: the key in the way, */
  unsigned found_over : 5;      /* and the superblock then */
  /* The contest (attempt() of arbitration.cc). */
  unsigned step : 3;
  unsigned own_epoch : 3;
  unsigned own_view : 8;
  unsigned base : 3;
  unsigned expected : EPOCH_SET;  /* predecessors */
  unsigned abandoned : 5;       /* forming: key that may be replaced although nobody nominated it */
  unsigned seen_epoch : 3;      /* superblock as first read */
  unsigned act : 3;
  unsigned victim : 5;
  /* Updates. */
  unsigned has : 3;             /* received or committed */
  unsigned locker : 3;          /* stage of the owner */
  unsigned acked : 3            /* members that acknowledged */
};
Node at[NODES];
byte up = 7, lives;
byte session;                   /* bit by node: its session is the one in which its key was registered */
byte attention;                 /* bit: its nexus was told that reservations may be gone */
byte degraded;                  /* bit: owner that must re-key before it writes */

#define IDLE 0
#define READ_HEAD 1
#define READ_HOLDER 2
#define ACT 3
#define WRITE 5
#define CHECK 6
byte judged, used_abandoned, forming; /* bits by node */
#define OWN 1
#define RESERVE 2
#define DEFEND 3
#define SEIZE 4

/* Updates. One sequence number; an update is named by the epoch of the view that ordered it. */
byte durable;                   /* bit by node */
#define NO_LOCKER 0
#define RECOVERING 1
#define MERGED 2
#define READY 3
#define ORDERED 4
#define COMMITTED 5

/* For the invariants only. */
byte newest_won = 1;
byte told;                      /* the update that a caller was told is committed */
byte recovered_epoch = 1, recovered_value;

/* Faults left. */
byte crashes = CRASHES % ANY, restarts = RESTARTS % ANY, lost = LOST % ANY, forgets = FORGETS % ANY, stales = STALES % ANY,
     resigns = RESIGNS % ANY;
#define LEFT(faults, bound) (bound == ANY || faults > 0)
#define SPEND(faults, bound) faults = faults - (bound != ANY)

byte i, j, e_, bits;            /* scratch, zero between steps */
short p_;
byte ok, nominee_;

#define ON(mask, n) mask = (mask | (1 << (n)))
#define OFF(mask, n) mask = (mask & (255 - (1 << (n))))
#define BIT(mask, n) (((mask) >> (n)) & 1)
#define MY_NEXUS_HOLDS (holder != 0 && KEY_NODE(holder) == me && holder_lives)
#define MAY_WRITE ((holder == 0 || MY_NEXUS_HOLDS) && !(BIT(attention, me) && HEEDS_ATTENTION))
#ifdef M_NO_ATTENTION
#define HEEDS_ATTENTION 0
#else
#define HEEDS_ATTENTION 1
#endif

inline hold(k) {
  holder = k;
  holder_lives = 1;
  NOTHING_LATE;
#if STALES
  images = images | (1 << (3 * (KEY_EPOCH(k) - 1) + KEY_NODE(k)));
#endif
}
/* Without a holder nothing is left of it. */
inline unreserve() { holder = 0; holder_lives = 0; NOTHING_LATE; }

inline lose_session(n) {
  OFF(session, n);
  OFF(attention, n);
#ifdef TWINS
  if
  :: holder != 0 && KEY_NODE(holder) == n -> holder_lives = 0
  :: else
  fi;
#endif
}

inline end_contest(n) {
  at[n].step = IDLE; at[n].own_epoch = 0; at[n].own_view = 0; at[n].base = 0; at[n].expected = 0; at[n].abandoned = 0;
  at[n].seen_epoch = 0; at[n].act = 0; at[n].victim = 0;
  OFF(judged, n); OFF(used_abandoned, n); OFF(forming, n);
}
inline next_round(n) {
  STEP(next_round)
  at[n].step = READ_HEAD; at[n].seen_epoch = 0; at[n].act = 0; at[n].victim = 0;
  OFF(judged, n); OFF(used_abandoned, n);
}

inline no_locker(n) { at[n].locker = NO_LOCKER; at[n].acked = 0; OFF(durable, n); OFF(degraded, n); }

/* Is in that view, may install it, or may hear that it is left out. */
#define USES_VIEW(n, e) (ALIVE(n) && (at[n].view == e || \
  (BIT(announced, e) && (at[n].accepted == e || (e == newest_won && at[n].view != 0 && at[n].view < e)))))

/* Nominations that nobody can accept or contest any more are forgotten, so that equal states are equal; so are
   acceptances and views. */
inline forget_nominations() {
  i = 0;
  do
  :: i < (EPOCHS - 1) * NODES ->
    if
    :: nominated[i] != 0 ->
      e_ = i / NODES + 2;
      ok = 0;
      j = 0;
      do
      :: j < NODES ->
        if
        :: ALIVE(j) && HAS(nominated[i], j) &&
           ((at[j].promised < e_ && (at[j].view == 0 || NAMES_BASE(predecessors[i], at[j].view))) ||
            (OWNER(nominated[i]) == j && at[j].accepted == e_ && at[j].accepted_of == i % NODES)) -> ok = 1
        :: else
        fi;
        j++
      :: else -> break
      od;
      if
      :: !ok -> nominated[i] = 0; predecessors[i] = 0
      :: else
      fi
    :: else
    fi;
    i++
  :: else -> break
  od;
  e_ = 1;
  do
  :: e_ <= EPOCHS ->
    if
    :: e_ > 1 && nominated[SLOT(e_, 0)] == 0 && nominated[SLOT(e_, 1)] == 0 && nominated[SLOT(e_, 2)] == 0 ->
      accepted_by[e_] = 0
    :: else
    fi;
    if
    :: won[e_] != 0 && !USES_VIEW(0, e_) && !USES_VIEW(1, e_) && !USES_VIEW(2, e_) -> won[e_] = 0; OFF(announced, e_)
    :: else
    fi;
    e_++
  :: else -> break
  od;
  i = 0; j = 0; e_ = 0; ok = 0
}

inline down(n) {
  lose_session(n);
  end_contest(n);
  no_locker(n);
  at[n].view = 0; at[n].promised = 0; at[n].accepted = 0; at[n].accepted_of = 0; at[n].promises = 0; at[n].guest_of = 0;
  at[n].found = 0; at[n].found_over = 0; at[n].has = 0;
  OFF(up, n);
  forget_nominations()
}
