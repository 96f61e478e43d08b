package memstore

// list is a doubly linked list of records in flat memory. The zero list is empty.
type list struct {
	ends  link   // next is the first, prev the last
	links []link // by slot
}

// link holds slots and 1; 0 stands for the ends.
type link struct{ prev, next int32 }

// first returns the slot that was added before all others, or none.
func (l *list) first() int32 { return l.ends.next - 1 }

// last returns the slot that was added after all others, or none.
func (l *list) last() int32 { return l.ends.prev - 1 }

// add puts a slot that is not in the list at its end.
func (l *list) add(slot int32) {
	for len(l.links) <= int(slot) {
		l.links = append(l.links, link{})
	}
	l.links[slot] = link{prev: l.ends.prev}
	l.at(l.ends.prev).next = slot + 1
	l.ends.prev = slot + 1
}

// remove takes a slot out that is in the list.
func (l *list) remove(slot int32) {
	gone := l.links[slot]
	l.at(gone.prev).next = gone.next
	l.at(gone.next).prev = gone.prev
}

func (l *list) at(i int32) *link {
	if i == 0 {
		return &l.ends
	}
	return &l.links[i-1]
}
