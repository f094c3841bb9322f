/*
 * asan_preload.c
 *		Makes a server start under the address sanitizer.
 *
 * With the sanitizer loaded first, libgcrypt's start-up leaves gettext's lock held. The server
 * would wait for this lock without end when it opens its message catalog. So messages stay
 * untranslated.
 */
char *bindtextdomain(const char *domain, const char *directory);

char *
bindtextdomain(const char *domain, const char *directory)
{
	return (char *) directory;
}
