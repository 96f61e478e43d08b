package idempotency

import "testing"

// Keys are as many as clients like: those for which nobody waits any more must not stay.
func TestWaitingRoomForgetsKeysForWhichNobodyWaits(t *testing.T) {
	var room waitingRoom
	_, leaveFirst := room.enter("k")
	settled, leaveSecond := room.enter("k")
	leaveFirst()
	if len(room.keys) != 1 {
		t.Fatal("forgotten while one still waits")
	}
	room.settle("k")
	select {
	case <-settled:
	default:
		t.Error("the one who waits was not woken")
	}
	_, leaveThird := room.enter("k") // for the next one who acts
	leaveSecond()
	if len(room.keys) != 1 {
		t.Error("one who was woken took the place of one who still waits with him")
	}
	leaveThird()
	if len(room.keys) != 0 || room.guests.Load() != 0 {
		t.Errorf("%d keys and %d guests are left", len(room.keys), room.guests.Load())
	}
}
