//! Property tests of the whole: nobody is lost.
