package uring

// RegisterPersonality stores the calling thread's credentials in the kernel and
// returns an id for SQE.Personality (IORING_REGISTER_PERSONALITY, kernel 5.6).
func (r *Ring) RegisterPersonality() (uint16, error) {
	id, err := r.register(RegisterOpPersonality, nil, 0)
	return uint16(id), err
}

// UnregisterPersonality removes stored credentials. The error is EINVAL for an
// unknown id.
func (r *Ring) UnregisterPersonality(id uint16) error {
	_, err := r.register(RegisterOpUnregisterPersonality, nil, uint32(id))
	return err
}
