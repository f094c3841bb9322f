# Writes a file as a C++ string: cmake -DFROM=index.html -DTO=page.cc -P embed.cmake
file(READ ${FROM} text)
file(WRITE ${TO}.new "#include \"status/page/page.h\"\n\nnamespace walspout {\n\nconst std::string_view kPage = R\"page(${text})page\";\n\n}  // namespace walspout\n")
execute_process(COMMAND ${CMAKE_COMMAND} -E copy_if_different ${TO}.new ${TO})
