package sqlite

import (
	"encoding/binary"
	"math"
)

// A code is a vector of length 1 in a byte a value, behind the float32 that
// one step of it is worth. It is off by less than a hundredth, which decides
// who is looked at closely.

// codeHead is the size of the float32.
const codeHead = 4

// newCode quantises a vector.
func newCode(values []float32) []byte {
	length := math.Sqrt(dot(values, values))
	var most float64
	for _, v := range values {
		most = max(most, math.Abs(float64(v)))
	}
	step := most / length / math.MaxInt8
	code := make([]byte, codeHead, codeHead+len(values))
	binary.LittleEndian.PutUint32(code, math.Float32bits(float32(step)))
	for _, v := range values {
		code = append(code, byte(int8(math.Round(float64(v)/most*math.MaxInt8))))
	}
	return code
}

// nearness is about the cosine of the angle between two vectors of one length.
func nearness(a, b []byte) float64 {
	steps := math.Float32frombits(binary.LittleEndian.Uint32(a)) * math.Float32frombits(binary.LittleEndian.Uint32(b))
	a, b = a[codeHead:], b[codeHead:]
	b = b[:len(a)]
	var s0, s1, s2, s3 int32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += int32(int8(a[i])) * int32(int8(b[i]))
		s1 += int32(int8(a[i+1])) * int32(int8(b[i+1]))
		s2 += int32(int8(a[i+2])) * int32(int8(b[i+2]))
		s3 += int32(int8(a[i+3])) * int32(int8(b[i+3]))
	}
	for ; i < len(a); i++ {
		s0 += int32(int8(a[i])) * int32(int8(b[i]))
	}
	return float64(s0+s1+s2+s3) * float64(steps)
}

// cosine is that of the angle between two vectors of one length.
func cosine(a, b []float32) float64 {
	return dot(a, b) / math.Sqrt(dot(a, a)*dot(b, b))
}

func dot(a, b []float32) float64 {
	var sum float64
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}

// pack writes a vector as a blob.
func pack(values []float32) []byte {
	blob := make([]byte, 0, 4*len(values))
	for _, v := range values {
		blob = binary.LittleEndian.AppendUint32(blob, math.Float32bits(v))
	}
	return blob
}

func unpack(blob []byte) []float32 {
	values := make([]float32, len(blob)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(blob[4*i:]))
	}
	return values
}
